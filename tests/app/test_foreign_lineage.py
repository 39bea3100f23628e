"""What follows from where a set comes from: roles that stay, sets that nothing counts, and scores like any other's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from calibration.control import DIFFERS, NOT_TOLD_APART
from calibration.drawn_control import CANNOT_TELL
from ias_core import twins
from ias_core.errors import IasError, ImageRefused, RoleConflict
from ias_core.synthesis.measures import contrast_to_noise, signal_to_noise
from pages.services.artifacts import DETECTOR, SYNTHESIS, DetectorResult, load_result
from pages.services.detection import FeatureSource
from pages.services.foreign_answers import (
    admit,
    discard,
    imported,
    key_of,
    nobody_was_asked_about,
    remove,
    that_may_count,
)
from pages.services.foreign_lineage import BARS, TELLS, WARNS, Lineage, barred, consequences, unanswered
from pages.services.foreign_scores import Bench, score_foreign, to_defects
from pages.services.foreign_set import ForeignSet
from pages.services.foreign_take import take
from pages.services.ledger import Ledger
from pages.services.pictures import read_at_size
from pages.services.quality import kept, with_filters
from pages.services.thresholds import evidence_of
from pages.services.workspace import Workspace
from tests.app import small_run
from tests.app.foreign import SQUARE, at, lineage, manifest, on_parts, pixels_of, png, spotted, written

SIZE = 64


@pytest.fixture
def foreign(ws, tmp_path) -> ForeignSet:
    """Three pictures on calibration parts."""
    return take(ws, written(tmp_path / "set", on_parts(Ledger(ws).records(role="calibration_ok")[:3])))


def said(ws: Workspace, foreign: ForeignSet, answers: Lineage, kind: str) -> str:
    return "\n".join(one.sentence for one in consequences(ws, foreign, answers) if one.kind == kind)


def ng_of(ws: Workspace) -> list[str]:
    return [record.sha256 for record in Ledger(ws).records(label="ng")]


# --- real NG that taught the generator


def test_named_ng_and_their_near_twins_can_never_verify_again(ws, foreign):
    first, twin, *others = Ledger(ws).records(label="ng")
    with ws.transaction() as db:
        db.execute('UPDATE images SET "group" = ? WHERE sha256 = ?', (first.group, twin.sha256))
    answers = lineage(ws, seeds="named", seed_ng=(first.sha256,))
    told = said(ws, foreign, answers, TELLS)
    assert f"{first.name}, {twin.name} (2 in all)" in told and "4 real NG stay free to verify" in told
    assert not barred(ws, foreign, answers)
    digest = admit(ws, foreign, answers)
    assert [r.role for r in Ledger(ws).records(label="ng")] == ["generator_seed"] * 2 + ["verification_ng"] * 4
    entry = Ledger(ws).history(twin.sha256)[-1]
    assert (entry.role, entry.by) == ("generator_seed", "A. Weber") and "LoRA" in entry.why
    remove(ws, digest, [])
    with pytest.raises(RoleConflict, match="cannot be used for verification"):
        Ledger(ws).assign([first.sha256], "verification_ng", by="test", why="test")
    assert len(Ledger(ws).history(first.sha256)) == 2
    admit(ws, foreign, answers)  # again: nothing new to enter
    assert len(Ledger(ws).history(first.sha256)) == 2


def test_not_knowing_bars_the_set_and_touches_no_role(ws, foreign):
    answers = lineage(ws, seeds="unknown")
    assert "not known which real NG" in barred(ws, foreign, answers)
    assert consequences(ws, foreign, answers)[0].kind == BARS
    admit(ws, foreign, answers)
    assert {r.role for r in Ledger(ws).records(label="ng")} == {"verification_ng"}


def test_ng_that_came_after_the_answers_are_asked_about(ws, foreign):
    *before, late = ng_of(ws)
    answers = lineage(ws, asked=tuple(before))
    assert [record.sha256 for record in unanswered(Ledger(ws).records(label="ng"), answers)] == [late]
    assert "1 real NG (ng_05.png) came after" in barred(ws, foreign, answers)
    assert not barred(ws, foreign, lineage(ws))
    sets = {"early": admit(ws, foreign, answers), "asked": admit(ws, foreign, lineage(ws)), "gone": 64 * "0"}
    assert that_may_count(ws, sets) == ("asked",)
    assert [record.sha256 for record in nobody_was_asked_about(ws, sets)] == [late]
    Ledger(ws).assign([late], "generator_seed", by="test", why="test")  # it verifies nothing any more
    assert not barred(ws, foreign, answers)
    assert that_may_count(ws, sets) == ("early", "asked") and not nobody_was_asked_about(ws, sets)


def test_the_manifest_holds_against_the_person(ws, tmp_path):
    files = on_parts(Ledger(ws).records(role="calibration_ok")[:2])
    rows = [{"file": "images/00.png", "seed_ng": ["ng_02.png", "other line.png"]}, {"file": "images/01.png"}]
    files["manifest.json"] = manifest(*rows, seed_ng=ng_of(ws)[3])
    foreign = take(ws, written(tmp_path / "set", files))
    assert foreign.entries[0].sources == (ng_of(ws)[2],) and foreign.entries[1].sources == ()
    assert set(foreign.manifest.seeds) == {ng_of(ws)[2], ng_of(ws)[3]}
    warned = said(ws, foreign, lineage(ws), WARNS)
    assert "ng_02.png, ng_03.png taught the generator: that holds against your answer" in warned
    assert "1 NG that this workspace does not have (other line.png)" in warned
    admit(ws, foreign, lineage(ws))
    assert [r.role == "generator_seed" for r in Ledger(ws).records(label="ng")] == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]


def test_ng_that_left_the_dataset_stop_the_answers(ws, foreign):
    answers = lineage(ws, seeds="named", seed_ng=("0" * 64,))
    with pytest.raises(IasError, match="not in the dataset any more"):
        admit(ws, foreign, answers)


@pytest.mark.parametrize(
    "changed",
    [{"generator": " "}, {"by": ""}, {"seeds": "named"}, {"seeds": "none", "seed_ng": ("0" * 64,)}],
)
def test_half_an_answer_is_none(ws, changed):
    with pytest.raises(IasError, match="expected"):
        lineage(ws, **changed)


# --- backgrounds


def test_drawn_backgrounds_need_a_control(ws, tmp_path, foreign):
    assert "no folder control/" in barred(ws, foreign, lineage(ws, backgrounds="drawn"))
    files = on_parts(Ledger(ws).records(role="calibration_ok")[:1]) | {"control/0.png": png(small_run.plate(800))}
    with_one = take(ws, written(tmp_path / "with", files))
    assert not barred(ws, with_one, lineage(ws, backgrounds="drawn"))
    assert "1 control pictures" in said(ws, with_one, lineage(ws, backgrounds="drawn"), TELLS)
    assert "may repeat them" in said(ws, with_one, lineage(ws, backgrounds="drawn", in_bank="unknown"), WARNS)
    assert "may repeat them" not in said(ws, with_one, lineage(ws, backgrounds="drawn"), WARNS)
    assert "1 of 1 pictures match a good part" in said(ws, with_one, lineage(ws, backgrounds="drawn"), WARNS)


def test_parts_of_every_role_behind_the_pictures_are_counted(ws, tmp_path):
    ledger = Ledger(ws)
    parts = [*ledger.records(role="memory_bank")[:3], *ledger.records(role="check_ok")[:2]]
    files = on_parts([*parts, *ledger.records(role="calibration_ok")[:1]])
    strange = spotted(small_run.plate(9001))
    strange[..., 0] //= 2
    files |= {"images/strange.png": png(strange), "masks/strange.png": png(SQUARE)}
    foreign = take(ws, written(tmp_path / "set", files))
    warned = said(ws, foreign, lineage(ws), WARNS)
    assert "3 of 7 are made on memory-bank parts, though you say that none is" in warned
    assert "2 of 7 are made on check parts" in warned
    assert "1 of 7 pictures match no good part" in warned and "may show memory-bank" not in warned
    assert "The good parts are grey, and 1 of 7 pictures have colour" in warned
    assert "They may show memory-bank parts" in said(ws, foreign, lineage(ws, in_bank="unknown"), WARNS)
    assert "6 of 7: 6 match exactly, 0 nearly" in said(ws, foreign, lineage(ws), TELLS)


# --- kept answers


def test_the_digest_knows_set_and_answers_but_not_who_gave_them(ws, foreign):
    first = admit(ws, foreign, lineage(ws))
    assert admit(ws, foreign, lineage(ws, by="B. Weber")) == first
    assert (
        len({first, *(admit(ws, foreign, lineage(ws, **c)) for c in ({"seeds": "unknown"}, {"in_bank": "yes"}))}) == 3
    )
    one = imported(ws, first)
    assert one.set == foreign and one.lineage == replace(lineage(ws, by="B. Weber"), at=one.lineage.at)
    assert one.lineage.at.endswith("+00:00")


def test_changed_answers_are_told(ws, foreign):
    digest = admit(ws, foreign, lineage(ws, seeds="unknown"))
    path = ws.images / f"foreign-{digest}.json"
    path.write_text(path.read_text().replace('"unknown"', '"none"'))
    with pytest.raises(IasError, match="were changed"):
        imported(ws, digest)
    path.write_text("{")
    with pytest.raises(IasError, match="cannot be read"):
        imported(ws, digest)
    for wrong in ("0" * 64, "../../etc/passwd"):
        with pytest.raises(IasError):
            imported(ws, wrong)


def test_pictures_go_with_the_last_set_that_shows_them(ws, foreign):
    a, b = (admit(ws, foreign, lineage(ws, in_bank=known)) for known in ("yes", "no"))
    remove(ws, a, [b])
    discard(ws, foreign.digest, [b])
    assert foreign.folder.is_dir() and imported(ws, b).set == foreign
    remove(ws, b, [])
    assert not foreign.folder.exists()
    with pytest.raises(IasError, match="import it again"):
        imported(ws, b)


@pytest.mark.parametrize(
    ("name", "key"), [("Été № 2!", "imported-été-2"), ("../a/b", "imported-a-b"), ("x" * 90, None)]
)
def test_a_name_becomes_a_key_that_can_name_a_file(name, key):
    assert key_of(name) == (key or "imported-" + "x" * 40)


@pytest.mark.parametrize("name", ["", "../..", "__"])
def test_a_name_without_a_letter_is_refused(name):
    with pytest.raises(IasError, match="letters or digits"):
        key_of(name)


# --- scores


@pytest.fixture(scope="session")
def source() -> FeatureSource:
    return FeatureSource(small_run.CONFIG.detector)


def bench_of(ws: Workspace, source: FeatureSource, folder: Path, **changed) -> Bench:
    from ias_core.patchcore.memory_bank import MemoryBank
    from ias_core.patchcore.scoring import Scorer

    detector = load_result(ws, DETECTOR)
    assert isinstance(detector, DetectorResult)
    folder.mkdir()
    scorer = Scorer(MemoryBank.load(detector.bank_path), source.device)
    values = {"ok": evidence_of(detector, None).ok, "unit": 2.0, "seed": 3, "filters": ("null", "duplicate")}
    return Bench(source, scorer, rejected={}, folder=folder, **values | changed)


def of(ws: Workspace, folder: Path, files: dict[str, bytes], **answers):
    return imported(ws, admit(ws, take(ws, written(folder, files)), lineage(ws, **answers)))


def test_scores_and_facts_are_those_of_each_picture_alone(ws, tmp_path, source):
    ledger = Ledger(ws)
    parts = [*ledger.records(role="calibration_ok")[:3], *ledger.records(role="memory_bank")[:3]]
    files = on_parts(parts)
    files |= {"images/zz.png": png(spotted(small_run.plate(9001))), "masks/zz.png": png(SQUARE)}
    one = of(ws, tmp_path / "set", files)
    bench = bench_of(ws, source, tmp_path / "out")
    scored, facts, made = score_foreign(ws, "imported-x", one, bench)
    assert scored.names == tuple(sorted(name for name in files if name.startswith("images")))
    assert scored.ids == tuple(f"imported-x-{i:03d}" for i in range(7))
    assert facts["parents"] == [part.sha256 for part in parts] + [""]
    for i, entry in enumerate(one.set.entries):
        features = source.of_pictures([one.set.picture(entry, SIZE)])
        own = [parts[i].group] if i in (3, 4, 5) else [()]
        assert scored.image_scores[i] == pytest.approx(bench.scorer(features, leave_out=own).image_scores[0], rel=1e-5)
        if i < 6:
            behind = read_at_size(parts[i], SIZE)
            assert facts["snr"][i] == pytest.approx(signal_to_noise(behind, made.images[i], made.masks[i]), abs=1e-3)
            outside = np.abs(made.images[i] - behind).max(2) > 0
            assert not (outside & ~_grown(made.masks[i])).any()
    assert facts["snr"][6] == pytest.approx(contrast_to_noise(made.images[6], made.masks[6]), abs=1e-3)
    assert facts["mean_abs_diff"][6] is None and facts["mean_abs_diff"][0] > 50
    for i in (0, 6):
        written_back = np.asarray(Image.open(bench.folder / f"imported-x-{i:03d}.png"))
        np.testing.assert_allclose(written_back / 255, made.images[i], atol=0.51 / 255)
    lists = {key: value for key, value in facts.items() if isinstance(value, list)}
    assert all(len(value) == 7 for value in lists.values()) and {"picture_ids", "settings", "size_px"} <= set(lists)
    json.dumps(facts, allow_nan=False)
    assert facts["imported"]["left_out"] == ["", "", "", *(part.group for part in parts[3:]), ""]
    assert facts["imported"]["without_parent"] == 1 and facts["shift_in_R"] > 0
    assert "blocked" not in facts and kept(facts).all()


def _grown(mask: np.ndarray) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)


def test_a_memory_bank_part_would_score_too_low(ws, tmp_path, source):
    """The whole-bank score of an almost invisible defect on a bank part is below every good part's."""
    part = Ledger(ws).records(role="memory_bank")[0]
    faint = np.where(SQUARE[..., None], pixels_of(part) + np.uint8(2), pixels_of(part))
    one = of(ws, tmp_path / "set", {"a.png": png(faint), "a_mask.png": png(SQUARE)}, in_bank="yes")
    bench = bench_of(ws, source, tmp_path / "out")
    scored, _, made = score_foreign(ws, "imported-x", one, bench)
    whole = bench.scorer(source.of_pictures(list(made.images))).image_scores[0]
    assert whole < bench.ok.min() <= scored.image_scores[0]


def test_planted_faults_are_found_and_pictures_without_a_part_are_not_judged(ws, tmp_path, source):
    parts = Ledger(ws).records(role="calibration_ok")
    files = on_parts(parts[:3])
    in_bank = Ledger(ws).records(role="memory_bank")[0]
    for name, part in (("copy", parts[3]), ("copy in bank", in_bank)):  # nothing in them
        files[f"images/{name}.png"], files[f"masks/{name}.png"] = png(pixels_of(part)), png(SQUARE)
    again = spotted(pixels_of(parts[0]), at(8, 8))
    again[8, 8] = 240
    files["images/repeat.png"], files["masks/repeat.png"] = png(again), png(at(8, 8))
    files["images/!strange.png"], files["masks/!strange.png"] = png(small_run.plate(9001)), png(SQUARE)
    one = of(ws, tmp_path / "set", files)
    _, facts, _ = score_foreign(ws, "imported-x", one, bench_of(ws, source, tmp_path / "out"))
    assert facts["rejected"][:4] == ["", "", "", ""]  # the strange one is the first of them
    assert "rounding the grey levels" in facts["rejected"][4] and "rounding the grey levels" in facts["rejected"][5]
    assert facts["rejected"][6] == "near-duplicate of imported-x-001"
    assert facts["filters"] == {"null": 2, "duplicate": 1}


def test_unknown_lineage_keeps_its_verdicts_and_counts_nowhere_whatever_the_filters(ws, tmp_path, source):
    one = of(ws, tmp_path / "set", on_parts(Ledger(ws).records(role="calibration_ok")[:2]), seeds="unknown")
    scored, facts, _ = score_foreign(ws, "imported-x", one, bench_of(ws, source, tmp_path / "out"))
    assert "not known which real NG" in facts["blocked"] and "quality" in facts and len(scored.image_scores) == 2
    assert not kept(facts).any()
    result = load_result(ws, SYNTHESIS)
    meta = result.meta | {"methods": result.meta["methods"] | {"imported-x": facts}}
    result = replace(result, sets=result.sets | {"imported-x": scored}, meta=meta)
    for filters in ((), ("null",)):
        evidence = evidence_of(load_result(ws, DETECTOR), with_filters(result, filters), set())
        assert "imported-x" not in evidence.synthetic
        assert "not known which real NG" in evidence.voiceless["imported-x"]


def test_drawn_sets_count_only_with_a_control_like_good_parts(ws, tmp_path, source, monkeypatch):
    monkeypatch.setattr(twins, "find_twins", lambda ours, theirs: [])  # none is here, and looking takes seconds
    files = {f"images/{i}.png": png(spotted(small_run.plate(9100 + i))) for i in range(4)}
    files |= {f"masks/{i}.png": png(SQUARE) for i in range(4)}
    files |= {f"control/{i}.png": png(small_run.plate(9200 + i)) for i in range(14)}
    one = of(ws, tmp_path / "set", files, backgrounds="drawn")
    bench = bench_of(ws, source, tmp_path / "out")
    fewer = replace(one, set=replace(one.set, control=one.set.control[:5]))
    ways = {
        NOT_TOLD_APART: (one, bench),
        CANNOT_TELL: (fewer, bench),
        DIFFERS: (one, replace(bench, ok=bench.ok - 4)),  # as if good parts scored lower
    }
    for verdict, (some, on) in ways.items():
        _, facts, made = score_foreign(ws, "imported-x", some, on)
        control = facts["imported"]["control"]
        assert (
            control["verdict"] == verdict and f"{control['above']} of {control['n']} defect-free" in control["sentence"]
        )
        assert ("blocked" in facts) == (verdict != NOT_TOLD_APART) and kept(facts).any() != ("blocked" in facts)
        assert (made.parents == -1).all() and facts["shift_in_R"] is None
        assert facts["quality"]["null"] == [""] * 4
        json.dumps(facts, allow_nan=False)


def test_sources_and_severities_are_known_for_all_or_none(ws, tmp_path):
    files = on_parts(Ledger(ws).records(role="calibration_ok")[:2])
    rows = [{"file": "images/00.png", "seed_ng": "ng_00.png", "severity": 0.25}, {"file": "images/01.png"}]
    files["manifest.json"] = manifest(*rows)
    named = {"seeds": "named", "seed_ng": tuple(ng_of(ws)[:2])}
    made, _ = to_defects(ws, "imported-x", of(ws, tmp_path / "a", files, **named), SIZE)
    assert [values["source"] for values in made.settings] == ["ng_00.png", "ng_00.png + ng_01.png"]
    assert made.severities.tolist() == [1.0, 1.0]
    rows[1]["severity"] = 0.75
    files["manifest.json"] = manifest(*({key: row[key] for key in ("file", "severity")} for row in rows))
    made, parents = to_defects(ws, "imported-x", of(ws, tmp_path / "c", files, backgrounds="drawn"), SIZE)
    assert (made.parents == -1).all() and not parents  # by the person's word, whatever they look like
    made, _ = to_defects(ws, "imported-x", of(ws, tmp_path / "b", files), SIZE)
    assert made.severities.tolist() == [0.25, 0.75] and not any("source" in values for values in made.settings)


def test_a_thin_mask_survives_the_detectors_size(ws, tmp_path):
    line = np.zeros_like(SQUARE)
    line[10:80, 41] = True
    part = Ledger(ws).records(role="calibration_ok")[0]
    one = of(ws, tmp_path / "set", {"a.png": png(spotted(pixels_of(part), line)), "a_mask.png": png(line)})
    made, _ = to_defects(ws, "imported-x", one, 32)
    assert made.masks[0].any(1).sum() == 24 and made.masks[0].any(0).sum() == 1


def test_a_picture_that_is_gone_is_told_by_name(ws, foreign):
    one = imported(ws, admit(ws, foreign, lineage(ws)))
    (foreign.folder / foreign.entries[1].file).unlink()
    with pytest.raises(ImageRefused, match="images/01.png: the file is not there"):
        to_defects(ws, "imported-x", one, SIZE)
