"""Sets made elsewhere, scored and judged like any synthetic NG, with what holds for them alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from calibration.control import NOT_TOLD_APART
from calibration.drawn_control import DrawnControl, drawn_control
from ias_core.errors import ImageRefused
from ias_core.folders import NG, OK
from ias_core.foreground import mask_at_size
from ias_core.synthesis.base import SyntheticDefects
from ias_core.synthesis.measures import contrast_to_noise
from pages.services.artifacts import ScoredSet
from pages.services.detection import FeatureSource
from pages.services.foreign_answers import Imported
from pages.services.foreign_lineage import barred, consequences, teachers
from pages.services.foreign_set import ForeignPicture
from pages.services.ledger import ImageRecord, Ledger
from pages.services.made import facts_of
from pages.services.picture_scores import features_of, median_shift, write_pictures
from pages.services.pictures import read_at_size
from pages.services.quality import CANNOT_TELL, Inspector, judged, picture_id
from pages.services.workspace import Workspace

if TYPE_CHECKING:
    import torch

    from ias_core.patchcore.scoring import Scorer


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """What a set is scored with: the same as the run's other synthetic NG.

    ok : (n,) OK scores that rules use, see ``pages.services.thresholds.Evidence``
    unit : median patch score of the good parts that other synthetic NG are made on: R
    filters, rejected : of the settings
    folder : where the pictures are written
    """

    source: FeatureSource
    scorer: Scorer
    ok: np.ndarray
    unit: float
    seed: int
    filters: Sequence[str]
    rejected: Mapping[str, str]
    folder: Path


def score_foreign(
    ws: Workspace, name: str, one: Imported, bench: Bench
) -> tuple[ScoredSet, dict[str, Any], SyntheticDefects]:
    """Scores of a set, and the facts that the other synthetic NG have as well.

    A picture on a memory-bank part is scored without the patches of that part, as that part itself is. Beside the
    facts that every method has: "imported", and "blocked" where nothing may count the set.

    Raises
    ------
    ImageRefused
        A picture, or a good part behind one, that is gone or was changed.
    """
    size = bench.source.input_size
    made, parents = to_defects(ws, name, one, size)
    pictures = np.array([read_at_size(record, size) for record in parents], np.float32).reshape(-1, size, size, 3)
    features = features_of(list(made.images), bench.source)
    hidden = _own_parts(made, parents, bench.scorer)
    scores = bench.scorer(features, leave_out=[group or () for group in hidden])
    stems = tuple(f"{name}-{i:03d}" for i in range(len(made.images)))
    write_pictures(made, stems, bench.folder)
    control = _control(one, bench)
    blocked = " ".join(filter(None, (barred(ws, one.set, one.lineage), _why_blocked(control))))
    facts = {
        "parents": [parents[p].sha256 if p >= 0 else "" for p in made.parents],
        "parent_names": [parents[p].name if p >= 0 else "" for p in made.parents],
        **_facts(made, pictures),
        "picture_ids": [picture_id(image) for image in made.images],
        "shift_in_R": _shift(features, made, pictures, bench),
        "imported": {
            "digest": one.digest,
            "lineage": {key: value for key, value in asdict(one.lineage).items() if key != "asked"},
            "left_out": hidden,
            "without_parent": int(np.count_nonzero(made.parents < 0)),
            "consequences": [asdict(found) for found in consequences(ws, one.set, one.lineage)],
            "control": asdict(control) | {"sentence": control_sentence(control)} if control else None,
        },
        "quality": _inspected(made, bench.scorer(features).patch_scores, parents, pictures, bench),
    }
    facts |= judged(facts, bench.filters, stems, bench.rejected) | ({"blocked": blocked} if blocked else {})
    names = tuple(entry.name for entry in one.set.entries)
    return ScoredSet(names, stems, scores.image_scores, scores.patch_scores), facts, made


def to_defects(ws: Workspace, name: str, one: Imported, size: int) -> tuple[SyntheticDefects, list[ImageRecord]]:
    """The pictures at the detector's size, and the good parts that ``parents`` counts in; -1 where there is none.

    A pixel of the mask stays where any part of it is marked, so that a thin defect does not vanish. Where not every
    picture has a severity, all are 1: nothing is known of their order. Every picture has a source where the generator
    learnt from real NG; where it is not known which of them a picture shows, they are one source together.

    Raises
    ------
    ImageRefused
        A picture that is gone from the workspace or was changed.
    """
    ledger, entries = Ledger(ws), one.set.entries
    wanted = {entry.parent for entry in entries if one.lineage.backgrounds == "edited"}
    parents = [record for record in ledger.records(label=OK) if record.sha256 in wanted]
    place = {record.sha256: i for i, record in enumerate(parents)}
    real = ledger.records(label=NG)
    name_of = {record.sha256: record.name for record in real}
    taught = " + ".join(record.name for record in teachers(real, one.set, one.lineage))
    severities = [entry.severity for entry in entries]
    known = None not in severities
    read = [_at_size(one, entry, size) for entry in entries]
    defects = SyntheticDefects(
        images=np.stack([image for image, _ in read]),
        masks=np.stack([mask for _, mask in read]),
        parents=np.array([place.get(entry.parent, -1) for entry in entries]),
        method=name,
        severities=np.array(severities if known else [1.0] * len(entries), np.float32),
        textures=(one.lineage.generator,) * len(entries),
        seed=0,
        settings=tuple(_settings(entry, name_of, taught) for entry in entries),
    )
    return defects, parents


def control_sentence(found: DrawnControl) -> str:
    """What the control shows, for a person."""
    told = (
        f"Control: {found.above} of {found.n} defect-free pictures score above the limit that {found.above_ok} of "
        f"{found.n_ok} good parts exceed (p = {found.p:.2f}), AUROC against good parts {found.area.auroc:.2f} "
        f"(95 %: {found.area.low:.2f} to {found.area.high:.2f}): {found.verdict}"
    )
    needed = f"; it takes {found.needed} of them to tell" if found.n < found.needed else ""
    low = ". They score lower than good parts, so the set claims too little" if found.area.high < 0.5 else ""
    return f"{told}{needed}{low}."


def _why_blocked(found: DrawnControl | None) -> str:
    if found is None or found.verdict == NOT_TOLD_APART:
        return ""
    return f"{control_sentence(found)} The set counts only if they score like good parts."


def _control(one: Imported, bench: Bench) -> DrawnControl | None:
    if one.lineage.backgrounds != "drawn" or not one.set.control:
        return None
    pictures = [_named(one, entry, bench.source.input_size) for entry in one.set.control]
    return drawn_control(bench.scorer(features_of(pictures, bench.source)).image_scores, bench.ok)


def _settings(entry: ForeignPicture, name_of: Mapping[str, str], taught: str) -> dict[str, Any]:
    by_name = [name_of[sha] for sha in entry.sources if sha in name_of]
    values = {"file": entry.name, "good part": entry.match, "method": entry.method}
    values["source"] = " + ".join(by_name) or taught
    return {key: value for key, value in values.items() if value}


def _named(one: Imported, entry: ForeignPicture, size: int) -> np.ndarray:
    try:
        return one.set.picture(entry, size)
    except ImageRefused as refused:
        raise ImageRefused(f"{entry.name}: {refused}") from refused


def _at_size(one: Imported, entry: ForeignPicture, size: int) -> tuple[np.ndarray, np.ndarray]:
    image = _named(one, entry, size)
    mask = one.set.mask(entry)
    if min(mask.shape) > size:
        return image, cv2.resize(mask.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA) > 0
    return image, mask_at_size(mask, size)


def _own_parts(made: SyntheticDefects, parents: Sequence[ImageRecord], scorer: Scorer) -> list[str]:
    """Group whose patches do not count for each picture, as in leave-one-out scores; "" where the whole bank does."""
    in_bank = [record.role == "memory_bank" and scorer.can_leave_out(record.group) for record in parents]
    return [parents[p].group if p >= 0 and in_bank[p] else "" for p in made.parents]


def _shift(features: torch.Tensor, made: SyntheticDefects, pictures: np.ndarray, bench: Bench) -> float | None:
    """Over the pictures whose good part is known; None where there is none."""
    places = np.flatnonzero(made.parents >= 0)
    if not len(places):
        return None
    behind = features_of(list(pictures), bench.source)
    return median_shift(features[places], behind, _some_of(made, places), bench.unit)


def _facts(made: SyntheticDefects, pictures: np.ndarray) -> dict[str, Any]:
    """As ``facts_of``; where no good part is known, the change is not, and noise around the defect stands in for it."""
    behind = [image if p < 0 else pictures[p] for image, p in zip(made.images, made.parents, strict=True)]
    facts = facts_of(replace(made, parents=np.arange(len(behind))), behind)
    for i in np.flatnonzero(made.parents < 0):
        facts["snr"][i] = round(contrast_to_noise(made.images[i], made.masks[i]), 4)
        facts["mean_abs_diff"][i] = facts["max_abs_diff"][i] = None
    return facts


def _inspected(
    made: SyntheticDefects, patch_scores: np.ndarray, parents: Sequence[ImageRecord], pictures: np.ndarray, bench: Bench
) -> dict[str, Any]:
    """Verdicts of every filter, as ``Inspector`` gives them; none on a picture without a good part behind it.

    Both are scored against the whole bank here, as the detector would.
    """
    n, places = len(made.images), np.flatnonzero(made.parents >= 0)
    found: dict[str, Any] = {"null": [""] * n, "artefact": [""] * n, "duplicate_of": [[] for _ in range(n)]}
    if not len(places):
        return found | {"border": {"verdict": CANNOT_TELL, "n": 0, "n_blocks": 0}}
    from ias_core.quality.movement import pooling_reach

    def score(some: np.ndarray) -> np.ndarray:
        return bench.scorer(features_of(list(some), bench.source)).patch_scores

    inspect = Inspector(
        pictures,
        [record.group for record in parents],
        score(pictures),
        score=score,
        reach=pooling_reach(bench.source.backbone),
        seed=bench.seed,
    )
    verdicts = inspect(_some_of(made, places), patch_scores[places])
    for k, i in enumerate(places):
        found["null"][i], found["artefact"][i] = verdicts["null"][k], verdicts["artefact"][k]
        found["duplicate_of"][i] = [int(places[j]) for j in verdicts["duplicate_of"][k]]
    return found | {"border": verdicts["border"]}


def _some_of(made: SyntheticDefects, places: np.ndarray) -> SyntheticDefects:
    return replace(
        made,
        images=made.images[places],
        masks=made.masks[places],
        parents=made.parents[places],
        severities=made.severities[places],
        textures=tuple(made.textures[i] for i in places),
        settings=tuple(made.settings[i] for i in places),
    )
