"""Every named method of industrial anomaly synthesis: where it belongs, what it needs, and what of it is made here.

Four paradigms and ten subcategories of the survey of industrial anomaly synthesis that this project starts from. Inputs
and outputs are its Table 8; cost, control, tasks and trade-off its Table 9, whose control and trade-off run together in
our copy, so that the cut between them is our reading. Its Tables 4 to 7 are left out: printed with two symbols for
three levels, they cannot be read back. Figures of merit are left out too: those published are of the methods' own
detectors, none of PatchCore.
"""

from __future__ import annotations

from dataclasses import dataclass

PARADIGMS = ("Hand-crafted", "Distribution hypothesis", "Generative model", "Vision-language model")
SOURCES = ("survey", "list", "ours")
NEEDS_NG = ("0", "1", "few", "many", "unknown")
STATUSES = {
    "N": "runs now",
    "K": "runs now, in feature space",
    "W": "runs with weights that the user supplies",
    "V": "a variant without weights is possible",
    "D": "a detector or a way to train one, no generator",
    "L": "named only",
}
_TABLE_8 = {"R": "required", "o": "optional", "-": "not used"}


@dataclass(frozen=True, slots=True)
class Subcategory:
    """One of the ten.

    ng, annotation, prompt, reference : what goes in, "required", "optional" or "not used" (Table 8)
    works_in : "pixel", "latent" or "mixed"
    output, cost, control, trade_off : words of Tables 8 and 9
    tasks : out of classification, detection, segmentation
    good_for : one plain sentence
    note : where the survey's cell does not hold, "" if it does
    """

    key: str
    name: str
    paradigm: str
    ng: str
    annotation: str
    prompt: str
    reference: str
    works_in: str
    output: str
    cost: str
    control: str
    tasks: tuple[str, ...]
    trade_off: str
    good_for: str
    note: str = ""

    @property
    def inputs(self) -> str:
        """What goes in beside good parts.

        Examples
        --------
        >>> subcategory("external-dependent").inputs, subcategory("full-image-synthesis").inputs
        ('good parts, reference', 'good parts, real NG; optional: annotation, prompt')
        """
        asked = {"real NG": self.ng, "annotation": self.annotation, "prompt": self.prompt, "reference": self.reference}
        needed = ["good parts", *(what for what, how in asked.items() if how == "required")]
        optional = [what for what, how in asked.items() if how == "optional"]
        return ", ".join(needed) + (f"; optional: {', '.join(optional)}" if optional else "")


@dataclass(frozen=True, slots=True)
class Method:
    """One named method.

    names : what it is called, first its title
    year, venue : of publication; None and "this product" for our own
    subcategory : key
    placement_source : "survey": named and placed by the survey; "list": named by its list of papers only; "ours":
        named by ASBench, by the project's report or by this product. Where it is not "survey", the place is ours
    needs_ng : one of NEEDS_NG; few is up to about ten
    needs_mask, needs_prompt : whether the user has to mark defects in real NG, or to write words
    needs_weights : which downloaded weights it takes, "" for none
    device : "cpu", "gpu" or "unknown"
    minutes : how long it takes, where known; None where not
    status : letters out of STATUSES
    registered : names in ``ias_core.synthesis.base.synthesizers`` that make it
    with_weights : such names that make it, or draw in its style, once the user brings diffusion weights
    rulers, discriminators : names in ``ias_core.synthesis.feature_space.base.feature_synthesizers`` (shifted features
        beside the memory bank) and in ``ias_core.discriminators.discriminators`` (trained second opinions)
    good_for : one plain sentence
    missing : what nothing of it is made here without, "" where something is
    warning : what to mind, "" for nothing
    """

    names: tuple[str, ...]
    year: int | None
    venue: str
    subcategory: str
    placement_source: str
    status: str
    good_for: str
    needs_ng: str = "0"
    needs_mask: bool = False
    needs_prompt: bool = False
    needs_weights: str = ""
    device: str = "cpu"
    minutes: str | None = None
    registered: tuple[str, ...] = ()
    with_weights: tuple[str, ...] = ()
    rulers: tuple[str, ...] = ()
    discriminators: tuple[str, ...] = ()
    missing: str = ""
    warning: str = ""

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def runs_now(self) -> bool:
        return bool(self.registered or self.rulers or self.discriminators)

    @property
    def made_here(self) -> tuple[str, ...]:
        """Every name here that has to do with it, those that need the user's weights too."""
        return (*self.registered, *self.with_weights, *self.rulers, *self.discriminators)

    @property
    def paradigm(self) -> str:
        return subcategory(self.subcategory).paradigm

    @property
    def output(self) -> str:
        return subcategory(self.subcategory).output

    @property
    def cost(self) -> str:
        return subcategory(self.subcategory).cost

    @property
    def control(self) -> str:
        return subcategory(self.subcategory).control


def _subcategory(
    key: str,
    name: str,
    paradigm: str,
    table_8: str,
    works_in: str,
    output: str,
    cost: str,
    control: str,
    tasks: str,
    trade_off: str,
    good_for: str,
    note: str = "",
) -> Subcategory:
    needs = (_TABLE_8[letter] for letter in table_8)
    named = {"C": "classification", "D": "detection", "S": "segmentation"}
    done = tuple(named[letter] for letter in tasks)
    return Subcategory(key, name, paradigm, *needs, works_in, output, cost, control, done, trade_off, good_for, note)


_HAND, _DISTRIBUTION, _GENERATIVE, _VLM = PARADIGMS
_MASK_NOTE = "The survey prints annotation as required; nobody annotates: the mask is produced."
SUBCATEGORIES = (
    _subcategory(
        "self-contained", "Self-contained", _HAND, "----", "pixel", "image and mask", "low", "medium", "CDS",
        "good source consistency; limited diversity",
        "Defects made of the product's own surface: close to it, and as varied as the product is.", _MASK_NOTE,
    ),
    _subcategory(
        "external-dependent", "External-dependent", _HAND, "---R", "pixel", "image and mask", "low", "medium", "CDS",
        "richer looks; local inconsistency",
        "Matter that the product does not have: many looks, plain to see, borders that do not fit.", _MASK_NOTE,
    ),
    _subcategory(
        "inpainting-based", "Inpainting-based", _HAND, "----", "pixel", "image and mask", "low", "medium", "CDS",
        "simple masking; looks missing or corrupted",
        "Missing surface: the plain end of the ladder, which a sound threshold has to find.", _MASK_NOTE,
    ),
    _subcategory(
        "prior-dependent", "Prior-dependent", _DISTRIBUTION, "----", "latent", "feature", "medium", "medium", "CD",
        "clear geometry; inflexible shapes",
        "Features moved off the good ones by a rule: how large a shift a threshold would find.",
    ),
    _subcategory(
        "data-driven", "Data-driven", _DISTRIBUTION, "----", "latent", "feature", "medium", "low", "CD",
        "adaptive; depends on feature quality",
        "Features with noise or with pieces of a learned dictionary: a second opinion trained on good parts alone.",
    ),
    _subcategory(
        "full-image-synthesis", "Full-image synthesis", _GENERATIVE, "Roo-", "mixed", "image", "medium", "low", "CD",
        "freedom; weak source preservation",
        "Whole new pictures where many real NG are at hand; check first that their good parts pass as good.",
        "The survey prints NG as required for all; RealNet's SDAS needs none.",
    ),
    _subcategory(
        "full-image-translation", "Full-image translation", _GENERATIVE, "Roo-", "mixed", "image", "medium", "medium",
        "CD", "domain look; weak spatial control, weak masks",
        "Good pictures turned into NG ones in the manner of many real NG; where the defect is stays unclear.",
    ),
    _subcategory(
        "local-synthesis", "Local synthesis", _GENERATIVE, "oooo", "mixed", "image", "high", "high", "CDS",
        "spatial control; depends on mask and border",
        "A defect drawn into a marked place of a good part, the rest left as it is.",
    ),
    _subcategory(
        "single-stage", "Single-stage", _VLM, "ooRo", "mixed", "image", "high", "high", "CDS",
        "prompt-driven; weaker mask consistency",
        "Defects that words or a few examples describe, from a large pretrained model and a GPU.",
    ),
    _subcategory(
        "multi-stage", "Multi-stage", _VLM, "ooRo", "mixed", "image and mask", "high", "high", "CDS",
        "better alignment; complex pipeline",
        "The same with masks that fit the picture, at the price of several trained parts.",
    ),
)  # fmt: skip


_BY_KEY = {one.key: one for one in SUBCATEGORIES}


def subcategory(key: str) -> Subcategory:
    """Raises KeyError for a key that is none of the ten."""
    return _BY_KEY[key]


_NO_CODE = "no code found: named only"
_DETECTOR = "a detector, no generator"
_NOT_FOUND_DETECTOR = "a detector, no generator; no code found"

# fmt: off
METHODS = (
    # 1 Self-contained
    Method(("CutPaste", "CutPaste-Scar"), 2021, "CVPR", "self-contained", "survey", "N",
           "A piece of the part where it does not belong: misplaced structure, or a thin strip as a scar.",
           registered=("cutpaste", "cutpaste-scar", "cutpaste-scar-asbench"),
           warning="The published areas, 2 to 15 % of the picture, are huge for a factory defect: set a size."),
    Method(("NSA",), 2022, "ECCV", "self-contained", "survey", "N",
           "Patches of another good part blended in without a seam: the nearest to real defects of the hand-made ones.",
           registered=("nsa", "nsa-asbench")),
    Method(("REB", "DefectMaker"), 2024, "Knowledge-Based Systems", "self-contained", "survey", "N",
           "Smooth or jagged regions filled with other surface or with noise: scars, clumps, patches.",
           registered=("reb",), warning="Its saliency network is replaced by the mask of the part."),
    Method(("ADDLA", "dynamic local augmentation"), 2021, "IEEE Access", "self-contained", "survey", "L",
           "Several local transforms combined.", missing=_NO_CODE),
    Method(("ADSAS",), 2023, "IJCIS", "self-contained", "survey", "L", "Simulated anomalous samples.",
           missing=_NO_CODE),
    Method(("ADAFF",), 2023, "Sensors", "self-contained", "survey", "D", "A GAN detector with attention fusion.",
           device="unknown", missing=_NOT_FOUND_DETECTOR),
    Method(("VDDM",), 2023, "book chapter", "self-contained", "survey", "D", "A study of augmentation.",
           needs_ng="unknown", device="unknown", missing="a study, no method; no code found"),
    Method(("FEGAN",), 2024, "IEEE Access", "self-contained", "survey", "D", "A GAN detector.",
           device="unknown", missing=_NOT_FOUND_DETECTOR,
           warning="The 2025 edition of the survey's list puts it under full-image synthesis."),
    Method(("FPI",), 2022, "MELBA", "self-contained", "ours", "N",
           "A square that fades into another good part: its factor is the finest dial of strength there is.",
           registered=("fpi", "fpi-asbench"), warning="Needs parts that lie alike; else every patch is gross."),
    Method(("PII",), 2021, "MICCAI", "self-contained", "ours", "N",
           "FPI's square mixed by gradients, so that it has no seam: structure changes, brightness does not.",
           registered=("pii",),
           warning="Needs parts that lie alike. ASBench names it and has neither code nor results."),
    Method(("FractalAD",), 2024, "IJCNN", "self-contained", "ours", "N",
           "The part's own surface in a random fractal shape: ragged, branching, in many pieces.",
           registered=("fractalad",)),
    Method(("Graded spots",), None, "this product", "self-contained", "ours", "N",
           "Spots from tiny and faint to large and plain: which defect is the smallest that is found.",
           registered=("graded-spot",),
           warning="A share is invisible on purpose: recall and AUROC of it mean nothing."),
    Method(("Scratch",), None, "this product", "self-contained", "ours", "N",
           "Fine grooves with a light and a dark flank.", registered=("scratch",)),
    Method(("Dent",), None, "this product", "self-contained", "ours", "N",
           "The shading of a bump or a hollow; brightness on the whole does not change.", registered=("dent",)),
    Method(("Stain",), None, "this product", "self-contained", "ours", "N",
           "Something dried on the part, darker and duller, or pale on a dark part.", registered=("stain",)),
    # 2 External-dependent
    Method(("DRAEM",), 2021, "ICCV", "external-dependent", "survey", "N",
           "A foreign texture in a large random shape of many pieces: varied and plain.", registered=("draem",),
           warning="Gross: a threshold set by it alone is far too high. Without a texture folder, textures are made."),
    Method(("DeSTSeg", "DestSeg"), 2023, "CVPR", "external-dependent", "survey", "N",
           "DRAEM with the textures as they are, neither turned nor recoloured.", registered=("destseg",),
           warning="Gross: a threshold set by it alone is far too high. Without a texture folder, textures are made."),
    Method(("MemSeg",), 2023, "EAAI", "external-dependent", "survey", "N",
           "A foreign texture, or the part's own surface shuffled, on the part only.",
           registered=("memseg", "memseg-asbench"),
           warning="A wrong mask of the part puts every defect on the background: look at the mask first."),
    Method(("Foreign body",), None, "this product", "external-dependent", "ours", "N",
           "A hair, a fibre, a chip or a crumb with a faint shadow.", registered=("foreign-body",)),
    # 3 Inpainting-based
    Method(("CutOut",), 2017, "arXiv", "inpainting-based", "ours", "N",
           "A black square: a threshold that misses it is broken.", registered=("cutout",),
           warning="Never choose a threshold by it."),
    Method(("RIAD",), 2021, "Pattern Recognition", "inpainting-based", "survey", "N",
           "Cells of a grid taken out: missing matter in a regular pattern.", registered=("riad",),
           warning="A detector; only its masking is used. ASBench names it and has neither code nor results."),
    Method(("SMAI", "superpixel masking"), 2020, "BMVC", "inpainting-based", "survey", "L",
           "Superpixels taken out.", missing=_NO_CODE),
    Method(("I3AD",), 2021, "WACVW", "inpainting-based", "survey", "D", "An iterative inpainting detector.",
           device="unknown", missing=_NOT_FOUND_DETECTOR),
    Method(("InTra",), 2022, "ICIAP", "inpainting-based", "survey", "D", "A transformer that paints in.",
           device="unknown", missing=_DETECTOR),
    Method(("AMI-Net",), 2024, "TASE", "inpainting-based", "survey", "D", "An adaptive mask generator in a detector.",
           device="unknown", missing=_DETECTOR),
    Method(("CDO",), 2023, "TII", "inpainting-based", "survey", "D", "Random noise injected into patches.",
           device="unknown", missing=_DETECTOR),
    Method(("RD4AD", "Revisiting reverse distillation"), 2023, "CVPR", "inpainting-based", "survey", "D",
           "Noise as pseudo-anomalies.", device="unknown", missing=_DETECTOR,
           warning="The survey cites the revisited variant."),
    Method(("CACL",), 2024, "JSSS", "inpainting-based", "survey", "L", "CutOut for contrastive learning of burn marks.",
           missing=_NO_CODE),
    # 4 Prior-dependent
    Method(("GLASS",), 2024, "ECCV", "prior-dependent", "survey", "K",
           "Textures in Perlin shapes as pictures, and features pushed off the good ones as a ruler.",
           registered=("glass-las-own", "glass-las-foreign"),
           rulers=("glass-gas-manifold", "glass-gas-hypersphere"),
           discriminators=("glass-manifold", "glass-hypersphere"),
           warning="A shifted feature scored by the bank it lies beside repeats its shift: a ruler, not evidence."),
    Method(("PBAS",), 2024, "TCSVT", "prior-dependent", "survey", "K",
           "Every good feature pushed straight away from its centre, without any noise.",
           rulers=("pbas-radial",), discriminators=("pbas",)),
    Method(("ADSPR",), 2023, "ICCV", "prior-dependent", "survey", "L", "Perturbation along a learned score.",
           device="unknown", missing="not enough detail in the sources: named only"),
    Method(("SPVAE",), 2020, "arXiv", "prior-dependent", "survey", "L",
           "Geodesic perturbation in a curved latent space.", device="unknown", missing=_NO_CODE),
    Method(("CRAS",), 2025, "TII", "prior-dependent", "ours", "K",
           "Noise scaled by the distance to the nearest good feature: one opinion for several products.",
           rulers=("cras-residual",), discriminators=("cras",)),
    # 5 Data-driven
    Method(("SimpleNet",), 2023, "CVPR", "data-driven", "survey", "K", "Gaussian noise on adapted features.",
           rulers=("simplenet-jitter",), discriminators=("simplenet",)),
    Method(("SuperSimpleNet",), 2024, "ICPR; JIMS 2025", "data-driven", "survey", "K",
           "SimpleNet's noise inside Perlin regions only.",
           rulers=("supersimplenet-noise",), discriminators=("supersimplenet",)),
    Method(("UniAD",), 2022, "NeurIPS", "data-driven", "survey", "K", "Feature jitter, larger than the feature itself.",
           rulers=("uniad-jitter",), warning="A denoising task, not a near-normal anomaly."),
    Method(("DSR",), 2022, "ECCV", "data-driven", "survey", "K",
           "Features replaced by other entries of a learned dictionary.", rulers=("dsr-codebook",),
           warning="Its pretrained dictionary is not here: the entries come from foreign textures instead."),
    # 6 Full-image synthesis
    Method(("Multistage GAN",), 2019, "TIP", "full-image-synthesis", "survey", "L",
           "Fabric defects made first, then fused into a new background.", needs_ng="many", device="gpu",
           missing=_NO_CODE),
    Method(("Con-GAN",), 2022, "TIM", "full-image-synthesis", "survey", "L",
           "The same augmentation on real and made pictures, against over-fitting.", needs_ng="many", device="gpu",
           missing=_NO_CODE),
    Method(("DFMGAN",), 2023, "AAAI", "full-image-synthesis", "survey", "L",
           "Defects added inside a predicted mask, to a generator of good parts.", needs_ng="few", needs_mask=True,
           device="gpu", minutes="a day or more on 2 GPUs",
           missing="needs hundreds of OK, StyleGAN2 CUDA code and 2 GPUs"),
    Method(("Defect Spectrum", "Defect-Gen"), 2024, "ECCV", "full-image-synthesis", "survey", "LV",
           "Picture and mask denoised together, by one model for the layout and one for patches.",
           needs_ng="few", needs_mask=True, device="gpu", missing="needs real NG with masks and training on a GPU"),
    Method(("RealNet", "SDAS"), 2024, "CVPR", "full-image-synthesis", "survey", "V",
           "A diffusion model of good parts, sampled with too much noise: anomalies with a dial, and no NG.",
           needs_weights="a diffusion model trained on ImageNet", device="gpu", with_weights=("realnet-sdas",),
           minutes="48 h on 4 GPUs as published",
           missing="needs diffusion weights; SDAS-lite is its variant without",
           warning="The 2025 edition of the survey's list puts it under local synthesis."),
    Method(("EID-GAN",), 2022, "TII", "full-image-synthesis", "list", "L",
           "GAN augmentation for extreme imbalance.", needs_ng="many", device="gpu", missing=_NO_CODE),
    Method(("GAN-based defect synthesis in fabrics",), 2020, "unknown", "full-image-synthesis", "list", "L",
           "Fabric defects to train a detector.", needs_ng="many", device="gpu", missing=_NO_CODE,
           warning="Synthesis or translation: not verified."),
    Method(("BBox-guided diffusion",), 2025, "CVPRW", "full-image-synthesis", "list", "L",
           "Picture and segmentation map together, from boxes.", needs_ng="many", needs_mask=True, device="gpu",
           missing="needs many real NG with annotations and training on a GPU"),
    Method(("Glass-defect diffusion",), 2025, "arXiv", "full-image-synthesis", "list", "L",
           "Samples that balance the classes of a classifier.", needs_ng="many", device="gpu", missing=_NO_CODE),
    # 7 Full-image translation
    Method(("CycleGAN",), 2017, "ICCV", "full-image-translation", "survey", "L",
           "Good to NG and back, from unpaired pictures.", needs_ng="many", device="gpu",
           missing="needs many real NG and training on a GPU; a foundation, not a defect method"),
    Method(("Pix2Pix",), 2017, "CVPR", "full-image-translation", "survey", "L",
           "Good to NG, from pairs of pictures.", needs_ng="many", device="gpu",
           missing="needs many real NG in pairs with good parts, and training on a GPU; a foundation"),
    Method(("SDGAN",), 2020, "TASE", "full-image-translation", "survey", "L",
           "Cycle-consistent translation with more discriminators.", needs_ng="many", device="gpu", missing=_NO_CODE),
    Method(("Defect-GAN",), 2021, "WACV", "full-image-translation", "survey", "L",
           "Defects added and removed as layers with an opacity.", needs_ng="many", device="gpu",
           missing="no official code found: named only"),
    Method(("AttenCGAN",), 2022, "TII", "full-image-translation", "survey", "L",
           "CycleGAN with attention on the defect.", needs_ng="many", device="gpu", missing=_NO_CODE),
    Method(("Defect Transfer GAN", "DT-GAN"), 2022, "BMVC", "full-image-translation", "list", "L",
           "Defect types carried from one product to another.", needs_ng="many", device="gpu",
           missing="needs real NG of several products; named only"),
    # 8 Local synthesis
    Method(("One-shot transplant",), None, "this product", "local-synthesis", "ours", "N",
           "The defect of one real NG on other good parts, from faint to as strong as it was seen.", needs_ng="1",
           needs_mask=True, minutes="none; 5 for the model that makes it softer", registered=("one-shot-diffusion",),
           warning="Every picture has the look of that one NG: one defect, seen from many places."),
    Method(("SDAS-lite",), None, "this product", "local-synthesis", "ours", "N",
           "A calibrated axis from OK to NG, by a small diffusion model of good parts.", minutes="5",
           registered=("sdas",), warning="It looks like a patch of coarse grain: an axis to measure on, no likeness."),
    Method(("MDGAN",), 2022, "Machines", "local-synthesis", "survey", "L",
           "Learns to redraw a defect inside a mask.", needs_ng="many", needs_mask=True, device="gpu",
           missing=_NO_CODE),
    Method(("DCDGANc",), 2023, "CVPRW", "local-synthesis", "survey", "L",
           "Learns defect textures only and blends them in.", needs_ng="many", needs_mask=True, device="gpu",
           missing=_NO_CODE),
    Method(("Open-set Fabric",), 2025, "TIM", "local-synthesis", "survey", "L",
           "Type and shape of a defect kept apart, to carry it to other fabrics.", needs_ng="few", needs_mask=True,
           device="gpu", missing=_NO_CODE),
    Method(("SARD",), 2025, "MIND", "local-synthesis", "survey", "L",
           "Diffusion inside a region, background passed through.", needs_ng="few", needs_mask=True, device="gpu",
           missing=_NO_CODE),
    Method(("STAGE",), 2025, "arXiv", "local-synthesis", "ours", "L",
           "Graded diffusion that keeps tiny defects and aligns the mask.", needs_ng="few", needs_mask=True,
           needs_weights="latent diffusion text2img-large", device="gpu",
           missing="needs few real NG with masks, latent diffusion text2img-large weights and a GPU",
           warning="The survey cites it for figures only; multi-stage would fit as well."),
    Method(("Neural style transfer defects",), 2020, "arXiv", "local-synthesis", "list", "LV",
           "The texture of an NG picture transferred into a mask.", needs_ng="few", needs_weights="VGG", device="gpu",
           minutes="minutes a picture without a GPU (estimate)",
           missing="needs few real NG and VGG weights; no code found"),
    Method(("AnomalyHybrid",), 2025, "CVPRW", "local-synthesis", "list", "L",
           "Looks of a reference on the structure of a target; depth edits make dents.", needs_ng="few",
           needs_weights="Depth Anything V2 and PiDiNet", device="gpu", missing=_NO_CODE,
           warning="The list files it under image and depth."),
    # 9 Single-stage
    Method(("TF-IDG",), 2025, "ICCV", "single-stage", "survey", "WV",
           "One real NG drawn into good parts, without training.", needs_ng="1", needs_mask=True,
           needs_weights="AnyDoor (Stable Diffusion 2.1) and DINOv2 ViT-g", device="gpu",
           minutes="0.3 to 0.7 a picture on a GPU (estimate)",
           with_weights=("tf-idg",),
           missing="needs diffusion weights and a GPU; the one-shot transplant is its variant without"),
    Method(("DefectFill",), 2025, "CVPR", "single-stage", "survey", "W",
           "Fills a mask of any shape with the defect it was fine-tuned on.", needs_ng="few", needs_mask=True,
           needs_weights="Stable Diffusion 2 inpainting", device="gpu",
           minutes="20 to 40 once for each kind of defect, on a GPU (estimate)", with_weights=("defectfill",),
           missing="needs Stable Diffusion 2 inpainting weights and a GPU"),
    Method(("AnoGen",), 2024, "ECCV", "single-stage", "survey", "W",
           "Three real NG become one word, drawn into boxes.", needs_ng="few",
           needs_weights="latent diffusion text2img-large", device="gpu",
           minutes="10 to 20 once for each kind of defect, on a GPU (estimate)", with_weights=("anogen",),
           missing="needs latent diffusion text2img-large weights and a GPU",
           warning="Its label is the box, good surface included. The 2025 edition of the list: local synthesis."),
    Method(("CUT",), 2024, "arXiv", "single-stage", "survey", "W",
           "The first version of AnomalyAny.", needs_prompt=True, needs_weights="Stable Diffusion 1.5", device="gpu",
           missing="needs Stable Diffusion 1.5 weights and a GPU", warning="The same record as AnomalyAny."),
    Method(("AnomalyAny", "Unseen visual anomaly generation"), 2025, "CVPR", "single-stage", "survey", "W",
           "An anomaly that words describe, on one good part.", needs_prompt=True,
           needs_weights="Stable Diffusion 1.5 and CLIP ViT-L/14", device="gpu",
           missing="needs Stable Diffusion 1.5 and CLIP weights and a GPU",
           warning="Its mask is an attention map: measure the difference. Weak for words of the shop floor."),
    Method(("AnomalyXFusion",), 2024, "arXiv", "single-stage", "survey", "L",
           "Picture, words and mask fused into one embedding.", needs_ng="few", needs_mask=True, needs_prompt=True,
           needs_weights="latent diffusion and CLIP", device="gpu", missing="only its data set is public: named only"),
    Method(("CAGEN",), 2024, "ICASSP", "single-stage", "survey", "L",
           "Words and masks steer a fine-tuned model.", needs_ng="few", needs_mask=True, needs_prompt=True,
           needs_weights="Stable Diffusion and ControlNet", device="gpu", missing=_NO_CODE),
    Method(("AnomalyControl (He et al.)",), 2024, "arXiv", "single-stage", "survey", "L",
           "A reference from another product steers the defect.", needs_ng="few", needs_prompt=True,
           needs_weights="Stable Diffusion and a vision-language model", device="gpu", missing=_NO_CODE),
    Method(("FAST",), 2025, "NeurIPS", "single-stage", "survey", "L",
           "Few steps, and small defects put back at each of them.", needs_ng="few", needs_mask=True,
           needs_weights="latent diffusion", device="gpu", missing="its code could not be read: named only"),
    Method(("AnoStyler",), 2026, "AAAI", "single-stage", "list", "WV",
           "A shape styled by words, without diffusion; its shapes are used for scratches here.", needs_prompt=True,
           needs_weights="CLIP ViT-B/32 and VGG19", device="gpu",
           minutes="several a picture without a GPU (estimate)", missing="needs CLIP and VGG19 weights"),
    Method(("AnomalyControl (ACM MM 2025)",), 2025, "ACM MM", "single-stage", "list", "L",
           "Aligned pictures from a controlled diffusion model.", needs_ng="unknown", needs_weights="a diffusion model",
           device="gpu", missing=_NO_CODE, warning="Another paper than AnomalyControl of 2024."),
    Method(("Photovoltaic defect generator", "PDIG"), 2025, "arXiv", "single-stage", "list", "L",
           "Kinds of cell defects learned as words, with smooth borders.", needs_ng="few",
           needs_weights="Stable Diffusion", device="gpu", missing=_NO_CODE),
    Method(("ComGEN",), 2025, "arXiv", "single-stage", "list", "L",
           "Logical anomalies: components missing, extra or swapped.", needs_prompt=True,
           needs_weights="Stable Diffusion", device="gpu", missing=_NO_CODE),
    # 10 Multi-stage
    Method(("AnomalyDiffusion",), 2024, "AAAI", "multi-stage", "survey", "W",
           "Looks and place of a defect learned apart, new masks included.", needs_ng="few", needs_mask=True,
           needs_weights="latent diffusion text2img-large", device="gpu",
           minutes="30 to 60 once, on a GPU (estimate)", with_weights=("anomalydiffusion",),
           missing="needs latent diffusion text2img-large weights and a GPU"),
    Method(("DualAnoDiff",), 2024, "arXiv; CVPR 2025", "multi-stage", "survey", "W",
           "Whole part and defect drawn together by two branches.", needs_ng="few", needs_mask=True,
           needs_weights="Stable Diffusion 1.5 and U2-Net", device="gpu", with_weights=("dualanodiff",),
           missing="needs Stable Diffusion 1.5 weights and a GPU",
           warning="It invents the whole part: check first that its good parts pass as good."),
    Method(("SeaS",), 2025, "ICCV", "multi-stage", "survey", "W",
           "One model a product for good parts, NG parts and masks.", needs_ng="few", needs_mask=True,
           needs_weights="Stable Diffusion 1.4", device="gpu", with_weights=("seas",),
           missing="needs Stable Diffusion 1.4 weights and a GPU",
           warning="The 2025 edition of the survey's list: single-stage."),
    Method(("AdaBLDM",), 2024, "arXiv", "multi-stage", "survey", "W",
           "A defect drawn into a mask, the picture's sharpness kept.", needs_ng="few", needs_mask=True,
           needs_prompt=True, needs_weights="Stable Diffusion 1.5 and ControlNet", device="gpu",
           minutes="0.3 to 0.7 a picture for its last stage alone, on a GPU (estimate)", with_weights=("adabldm",),
           missing="needs Stable Diffusion 1.5 and ControlNet weights and a GPU",
           warning="The survey cites another arXiv number than the repository."),
    Method(("DefectDiffu",), 2024, "ECCV", "multi-stage", "survey", "L",
           "Product and defect learned in blocks of their own.", needs_ng="few", needs_prompt=True,
           needs_weights="DiT-XL/2", device="gpu", missing="needs real NG of several products and heavy training"),
    Method(("GAA",), 2025, "ACM MM", "multi-stage", "survey", "L",
           "Concepts for what and where, and a filter for poor pictures.", needs_ng="few", needs_mask=True,
           needs_weights="latent diffusion", device="gpu", missing=_NO_CODE),
    Method(("TDAD",), 2025, "Computers in Industry", "multi-stage", "survey", "D",
           "Two-stage diffusion reconstruction.", device="gpu", missing=_NOT_FOUND_DETECTOR),
    Method(("BeltDiff",), 2025, "EAAI", "multi-stage", "survey", "L",
           "Belt damage with labels of its own making.", needs_ng="many", needs_weights="a diffusion model",
           device="gpu", missing=_NO_CODE),
    Method(("Anomagic",), 2026, "AAAI", "multi-stage", "list", "W",
           "A reference anomaly and its words, painted in and its mask refined.", needs_prompt=True,
           needs_weights="Stable Diffusion 1.5 inpainting, IP-Adapter and Anomagic's own", device="gpu",
           missing="needs Stable Diffusion 1.5 inpainting, IP-Adapter and its own weights and a GPU",
           warning="Trained on public benchmarks: results on those prove nothing."),
    Method(("Anodapter",), 2025, "IEEE", "multi-stage", "list", "L",
           "An adapter that gives picture and mask together.", needs_ng="few", needs_mask=True,
           needs_weights="a diffusion model", device="gpu", missing=_NO_CODE),
)
# fmt: on

NO_SYNTHESIS = {
    "ASBench": "a benchmark",
    "AnomalousPatchCore": "an extension of PatchCore",
    "Sequential PatchCore": "an extension of PatchCore",
    "Optimizing PatchCore": "an extension of PatchCore",
    "COFT-AD": "shapes a backbone",
    "HVQ-Trans": "a detector",
    "MambaAD": "a detector",
    "DDAD": "a detector",
    "DiffusionAD": "a detector",
    "GLAD": "a detector; only the 2025 edition of the survey's list names it, under data-driven",
    "GeneralAD": "a detector; only the 2025 edition of the survey's list names it, under data-driven",
}
"""Names that the sources mention beside the methods, and what they are."""

ASBENCH = (
    "ASBench names eleven hand-crafted methods: CutOut, CutPaste, CutPaste-Scar, FPI, PII, RIAD, DestSeg, DRAEM, "
    "FractalAD, MemSeg and NSA. Of PII and RIAD it has neither code nor results. REB comes from the survey. The eleven "
    "and REB are the twelve here, in their original recipes.",
    "ASBench's code is another method in three places: its FPI is a brighter or darker disc, its CutPaste-Scar a box "
    "with black corners, its MemSeg takes whatever is dark for the part. NSA it calls with one patch of the same "
    "picture. These four stand here under names of their own.",
    "No method wins everywhere, looks do not tell which one helps, and a mixture usually beats its parts. ASBench did "
    "not test PatchCore.",
)
"""What to know before a figure of ASBench is quoted; one sentence group each."""


def of_subcategory(key: str) -> tuple[Method, ...]:
    return tuple(method for method in METHODS if method.subcategory == key)


def method_of(name: str) -> Method | None:
    """The row that makes a registered name, in image or in feature space; None for a name of no row."""
    return next((m for m in METHODS if name in m.made_here), None)
