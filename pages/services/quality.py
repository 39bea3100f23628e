"""Quality control of synthetic NG: three filters, their verdicts, and which pictures count.

Every verdict is kept whatever the filters in force, and rejected pictures stay where they are with the reason: another
choice of filters needs no new picture. Graded NG are not judged: those that are missed by design make the curve.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibration.two_sample import TwoSample, two_sample_test
from pages.services.artifacts import SynthesisResult
from pages.services.settings import FILTERS

if TYPE_CHECKING:
    from ias_core.synthesis.base import SyntheticDefects

ALPHA = 0.05  # chance that a method whose borders look like good parts is said to give itself away
GIVES_AWAY, NOT_SEEN, CANNOT_TELL = "borders give it away", "not seen at this n", "cannot tell"
_CANDIDATES = 8
_VERDICTS = {"separable": GIVES_AWAY, "not seen": NOT_SEEN, "cannot tell": CANNOT_TELL}


@dataclass(frozen=True, slots=True, eq=False)
class Inspector:
    """Judges sets of synthetic NG made from the same OK pictures.

    pictures : (n, s, s, 3) float32; groups : n strings, the same for near twins
    parent_scores : (n, gh, gw) patch scores of the pictures
    score : pictures to patch scores
    reach : cells, see ``ias_core.quality.movement.pooling_reach``
    floors : place of a picture -> how far rounding moves its patch scores; filled as pictures are needed
    """

    pictures: np.ndarray
    groups: Sequence[str]
    parent_scores: np.ndarray
    score: Callable[[np.ndarray], np.ndarray]
    reach: int
    seed: int
    floors: dict[int, float] = field(default_factory=dict)

    def __call__(self, made: SyntheticDefects, patch_scores: np.ndarray) -> dict[str, Any]:
        """JSON-ready verdicts of every filter, one entry per picture.

        Returns
        -------
        dict
            "null", "artefact": reasons, "" where the filter has none; "duplicate_of": places of the earlier pictures
            that show the same defect; "border": what the two-sample test says of the set.
        """
        from ias_core.quality.duplicates import near_duplicates

        border, artefact = self._borders(made)
        return {
            "null": self._moves(made, patch_scores),
            "artefact": artefact,
            "duplicate_of": near_duplicates(made.images, made.masks, made.parents, self.pictures, self.groups),
            "border": border,
        }

    def _moves(self, made: SyntheticDefects, patch_scores: np.ndarray) -> list[str]:
        """Scoring a parent once more costs as much as scoring it, so it is done for the pictures that move least, and
        for the next ones as long as some do not move: what moves more than those that do is not asked."""
        from ias_core.quality.movement import moves

        near, far = moves(patch_scores, self.parent_scores[made.parents], made.masks, reach=self.reach)
        reasons = ["" if at >= away else _away_reason(at, away) for at, away in zip(near, far, strict=True)]
        rising = np.argsort(np.maximum(near, far), kind="stable")
        for a in range(0, len(rising), _CANDIDATES):
            some = rising[a : a + _CANDIDATES]
            floors = self._floors(made.parents[some])
            still = [(i, floor) for i, floor in zip(some, floors, strict=True) if max(near[i], far[i]) <= floor]
            for i, floor in still:
                reasons[i] = _still_reason(max(near[i], far[i]), floor)
            if not still:
                break
        return reasons

    def _floors(self, places: np.ndarray) -> list[float]:
        from ias_core.quality.movement import rounding_floors

        new = sorted(set(places.tolist()) - self.floors.keys())
        if new:
            rngs = [np.random.default_rng([self.seed, i]) for i in new]
            found = rounding_floors(self.pictures[new], self.parent_scores[new], self.score, rngs)
            self.floors.update(zip(new, found.tolist(), strict=True))
        return [self.floors[i] for i in places.tolist()]

    def _borders(self, made: SyntheticDefects) -> tuple[dict[str, Any], list[str]]:
        """The two-sample test on borders, and the pictures whose border no good part has."""
        from ias_core.quality.borders import border_descriptors, has_border

        partner, block = partners(self.groups)
        places = [i for i, p in enumerate(made.parents) if partner[p] >= 0 and has_border(made.masks[i])]
        reasons = [""] * len(made.images)
        blocks = block[made.parents[places]]
        if len(np.unique(blocks)) < 2:
            return {"verdict": CANNOT_TELL, "n": len(places), "n_blocks": len(np.unique(blocks))}, reasons
        rows = np.stack(
            [
                border_descriptors([self.pictures[partner[made.parents[i]]], made.images[i]], made.masks[i])
                for i in places
            ]
        )  # (n, 2, k): the ring on another good part, and on the synthetic NG
        found = two_sample_test(rows[:, 0], rows[:, 1], blocks, rng=np.random.default_rng(self.seed), alpha=ALPHA)
        if found.verdict == "separable":
            # Conformal level 1 / (n + 1): fewer than one picture with a good part's border is expected to be rejected.
            for i, score in zip(places, found.second, strict=True):
                if score > found.first.max():
                    reasons[i] = f"its border is told from that on each of {len(places)} good parts"
        return _border_facts(found), reasons


def partners(groups: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """For each picture another one that stands in for it, and the block that the two are in.

    Groups of near twins are paired in the order they come in, so that picture and stand-in change places when the two
    samples of a block are exchanged; the last group of an odd number has no partner.

    Returns
    -------
    partner, block : (n,) int   -1 where there is none

    Examples
    --------
    >>> partners(["a", "b", "c", "c", "d", "e"])
    (array([ 1,  0,  4,  4,  2, -1]), array([ 0,  0,  1,  1,  1, -1]))
    """
    members: dict[str, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    partner, block = np.full(len(groups), -1), np.full(len(groups), -1)
    ordered = list(members.values())
    for number, (ours, theirs) in enumerate(zip(ordered[::2], ordered[1::2], strict=False)):
        for own, other in ((ours, theirs), (theirs, ours)):
            partner[own] = [other[k % len(other)] for k in range(len(own))]
            block[own] = number
    return partner, block


def _still_reason(move: float, floor: float) -> str:
    return f"no patch score moves by more than {move:.2f}; rounding the grey levels moves them by {floor:.2f}"


def _away_reason(near: float, far: float) -> str:
    return f"patch scores move away from the mask: by {far:.2f} there, by {near:.2f} at it"


def _border_facts(found: TwoSample) -> dict[str, Any]:
    area = found.area
    return {
        "verdict": _VERDICTS[found.verdict],
        "auroc": area.auroc,
        "low": area.low,
        "high": area.high,
        "p": found.p,
        "least_p": found.least_p,
        "n": area.n_ng,
        "n_blocks": found.n_blocks,
    }


def picture_id(image: np.ndarray) -> str:
    """Names a synthetic NG (s, s, 3) in [0, 1] by its 8-bit pixels: the same in every run that makes it again."""
    return hashlib.sha256(np.rint(image * 255).astype(np.uint8).tobytes()).hexdigest()[:16]


def decided(
    verdicts: dict[str, Any], filters: Sequence[str], stems: Sequence[str], by_hand: Sequence[str] | None = None
) -> dict[str, Any]:
    """What these filters make of the verdicts, in the order of FILTERS, after what a person rejected.

    A near-duplicate goes only where an earlier one of its kind is kept. ``by_hand``: a reason for each picture, "" for
    those that nobody took out.

    Returns
    -------
    dict
        "rejected": the reason of each picture, "" for kept ones; "filters": how many each filter takes out.
    """
    rejected, counts = [""] * len(stems), {name: 0 for name in FILTERS if name in filters}
    for i in range(len(stems)):
        kept = [j for j in verdicts["duplicate_of"][i] if not rejected[j]]
        if by_hand is not None and by_hand[i]:
            rejected[i] = by_hand[i]
            continue
        reasons = {
            "null": verdicts["null"][i],
            "artefact": verdicts["artefact"][i],
            "duplicate": f"near-duplicate of {stems[kept[0]]}" if kept else "",
        }
        by = next((name for name in counts if reasons[name]), None)
        if by is not None:
            rejected[i] = reasons[by]
            counts[by] += 1
    return {"rejected": rejected, "filters": counts}


def with_filters(
    result: SynthesisResult, filters: Sequence[str], rejected: Mapping[str, str] | None = None
) -> SynthesisResult:
    """The same pictures with other filters in force, and other ones ``rejected`` by a person: picture id -> reason."""
    methods = {
        name: facts | judged(facts, filters, result.sets[name].ids, rejected or {})
        for name, facts in result.meta["methods"].items()
    }
    return replace(result, meta=result.meta | {"methods": methods})


def judged(
    facts: dict[str, Any], filters: Sequence[str], stems: Sequence[str], rejected: Mapping[str, str]
) -> dict[str, Any]:
    """``decided`` for a method's facts; nothing for one that is not judged."""
    if "quality" not in facts:
        return {}
    by_hand = [rejected.get(one, "") for one in facts.get("picture_ids", [])]
    return decided(facts["quality"], filters, stems, by_hand or None)


def sources_of(facts: dict[str, Any]) -> tuple[str, ...]:
    """The real NG that each picture of a method was made from; empty where it starts from none."""
    names = tuple(drawn.get("source", "") for drawn in facts.get("settings", []))
    return names if any(names) else ()


def quality_row(facts: dict[str, Any]) -> dict[str, Any]:
    """What became of a method's pictures, as ``calibration.json`` has it.

    "from_ng": the real NG they were made from; "control": verdict on good parts redrawn without a defect, None for
    methods that redraw none; "blocked": why the method has no voice, "" where it has one; "made_with": sha256 of the
    networks that drew them.
    """
    counts = kept(facts)
    border = facts.get("quality", {}).get("border", {})
    return {
        "from_ng": sorted(set(sources_of(facts))),
        "control": facts.get("control"),
        "blocked": facts.get("blocked", ""),
        "made_with": facts.get("made_with", {}),
        "n_made": len(counts),
        "n_kept": int(counts.sum()),
        "rejected": dict(facts.get("filters", {})),
        "border_auroc": {key: border[key] for key in ("auroc", "low", "high", "p")} if "auroc" in border else None,
    }


def kept(facts: dict[str, Any]) -> np.ndarray:
    """(n,) bool: which pictures of a method count; none of one that is blocked."""
    n = len(facts["severities"])
    if facts.get("blocked"):
        return np.zeros(n, dtype=bool)
    return np.array([not reason for reason in facts.get("rejected", [""] * n)], dtype=bool)


def why_none(facts: dict[str, Any], method: str) -> str:
    """Why no picture of a method counts."""
    return facts.get("blocked") or f"quality control rejected all {len(facts['severities'])} synthetic NG of {method}"
