"""The taxonomy is whole: every name of the specification has one row, and every method made here belongs to one."""

from collections import Counter

import pytest

import ias_core.synthesis  # noqa: F401  registers the methods
from ias_core.discriminators import discriminators
from ias_core.synthesis import taxonomy
from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.feature_space.base import feature_synthesizers
from ias_core.synthesis.taxonomy import METHODS, NEEDS_NG, SOURCES, STATUSES, SUBCATEGORIES

# Every name of the specification's tables, by subcategory; typed from there, not from the code.
NAMES = {
    "self-contained": "CutPaste, CutPaste-Scar, NSA, REB, ADDLA, ADSAS, ADAFF, VDDM, FEGAN, FPI, PII, FractalAD",
    "external-dependent": "DRAEM, DeSTSeg, MemSeg",
    "inpainting-based": "CutOut, RIAD, SMAI, I3AD, InTra, AMI-Net, CDO, RD4AD, CACL",
    "prior-dependent": "GLASS, PBAS, ADSPR, SPVAE, CRAS",
    "data-driven": "SimpleNet, SuperSimpleNet, UniAD, DSR",
    "full-image-synthesis": "Multistage GAN, Con-GAN, DFMGAN, Defect Spectrum, Defect-Gen, RealNet, SDAS, EID-GAN, "
    "GAN-based defect synthesis in fabrics, BBox-guided diffusion, Glass-defect diffusion",
    "full-image-translation": "CycleGAN, Pix2Pix, SDGAN, Defect-GAN, AttenCGAN, Defect Transfer GAN",
    "local-synthesis": "MDGAN, DCDGANc, Open-set Fabric, SARD, STAGE, Neural style transfer defects, AnomalyHybrid",
    "single-stage": "TF-IDG, DefectFill, AnoGen, CUT, AnomalyAny, Unseen visual anomaly generation, AnomalyXFusion, "
    "CAGEN, AnomalyControl (He et al.), FAST, AnoStyler, AnomalyControl (ACM MM 2025), Photovoltaic defect generator, "
    "ComGEN",
    "multi-stage": "AnomalyDiffusion, DualAnoDiff, SeaS, AdaBLDM, DefectDiffu, GAA, TDAD, BeltDiff, Anomagic, "
    "Anodapter",
}
OWN = ("Graded spots", "Scratch", "Dent", "Stain", "Foreign body", "One-shot transplant", "SDAS-lite")
OF_THE_LIST = (
    "GAN-based defect synthesis in fabrics, Neural style transfer defects, Defect Transfer GAN, EID-GAN, ComGEN, "
    "Photovoltaic defect generator, BBox-guided diffusion, Glass-defect diffusion, Anodapter, "
    "AnomalyControl (ACM MM 2025), AnomalyHybrid, AnoStyler, Anomagic"
)
BESIDE = (
    "ASBench, AnomalousPatchCore, Sequential PatchCore, Optimizing PatchCore, COFT-AD, HVQ-Trans, MambaAD, DDAD, "
    "DiffusionAD, GLAD, GeneralAD"
)


def rows_called(name: str) -> list[taxonomy.Method]:
    return [method for method in METHODS if name in method.names]


@pytest.mark.parametrize("key", NAMES)
def test_every_name_of_the_specification_has_one_row_in_its_place(key):
    for name in NAMES[key].split(", "):
        assert [method.subcategory for method in rows_called(name)] == [key], name


def test_no_row_is_named_by_nobody_and_no_name_is_given_twice():
    specified = {name for names in NAMES.values() for name in names.split(", ")}
    assert {method.name for method in METHODS} <= specified | set(OWN)
    assert max(Counter(name for method in METHODS for name in method.names).values()) == 1
    assert not set(taxonomy.NO_SYNTHESIS) & {name for method in METHODS for name in method.names}
    assert set(taxonomy.NO_SYNTHESIS) == set(BESIDE.split(", "))


def test_the_survey_names_58_and_its_list_13_more():
    counts = Counter(method.subcategory for method in METHODS if method.placement_source == "survey")
    assert [counts[one.key] for one in SUBCATEGORIES] == [8, 3, 8, 4, 4, 5, 5, 4, 9, 8]
    assert sum(counts.values()) == 58
    listed = {method.name for method in METHODS if method.placement_source == "list"}
    assert listed == set(OF_THE_LIST.split(", "))


def test_four_paradigms_of_ten_subcategories_in_the_surveys_order():
    assert [one.key for one in SUBCATEGORIES] == list(NAMES)
    assert [one.paradigm for one in SUBCATEGORIES] == [
        p for p, n in zip(taxonomy.PARADIGMS, (3, 2, 3, 2), strict=True) for _ in range(n)
    ]


def test_cost_and_control_are_the_words_of_table_9():
    assert [(one.cost, one.control) for one in SUBCATEGORIES] == [
        ("low", "medium"),
        ("low", "medium"),
        ("low", "medium"),
        ("medium", "medium"),
        ("medium", "low"),
        ("medium", "low"),
        ("medium", "medium"),
        ("high", "high"),
        ("high", "high"),
        ("high", "high"),
    ]
    for method in METHODS:
        one = taxonomy.subcategory(method.subcategory)
        assert (method.paradigm, method.output, method.cost, method.control) == (
            one.paradigm,
            one.output,
            one.cost,
            one.control,
        )


@pytest.mark.parametrize("name", synthesizers.names())
def test_every_method_made_here_belongs_to_one_row(name):
    row = taxonomy.method_of(name)
    assert [name in method.made_here for method in METHODS].count(True) == 1
    assert (name in row.with_weights) == ("backend" in synthesizers[name].needs)


def test_what_a_row_says_is_made_is_made():
    for registry, fields in (
        (synthesizers, ("registered", "with_weights")),
        (feature_synthesizers, ("rulers",)),
        (discriminators, ("discriminators",)),
    ):
        named = [name for method in METHODS for field in fields for name in getattr(method, field)]
        assert sorted(named) == list(registry.names())
    assert taxonomy.method_of("no such method") is None


def test_nothing_that_needs_downloaded_weights_runs_now():
    assert not [method.name for method in METHODS if method.needs_weights and method.runs_now]


def test_a_row_runs_or_says_what_is_missing():
    for method in METHODS:
        assert bool(method.missing) != method.runs_now, method.name
        assert method.runs_now == bool({"N", "K"} & set(method.status)), method.name
        assert method.good_for and method.good_for[0].isupper() and method.good_for.endswith("."), method.name
        assert not method.missing.endswith(".")


def test_every_field_is_one_of_its_words():
    for method in METHODS:
        assert method.placement_source in SOURCES and method.needs_ng in NEEDS_NG, method.name
        assert method.status and set(method.status) <= set(STATUSES), method.name
        assert method.device in ("cpu", "gpu", "unknown")
        assert (method.year is None) == (method.venue == "this product") == (method.name in OWN), method.name
        assert method.needs_ng != "0" or not method.needs_mask, f"{method.name}: a mask of which NG?"
        assert "W" not in method.status or method.needs_weights, method.name


def test_asbench_variants_stand_beside_their_originals():
    for name in synthesizers.names():
        if name.endswith("-asbench"):
            assert name.removesuffix("-asbench") in taxonomy.method_of(name).registered
