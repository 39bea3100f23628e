"""People judge good parts, synthetic NG and real NG without knowing which is which: the queue, and what comes out.

Pictures of all kinds reach the reviewer at one size and in one encoding, in an order of each reviewer's own.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ias_core.errors import IasError, ImageRefused
from pages.services import review_store
from pages.services.artifacts import DetectorResult, SynthesisResult
from pages.services.ledger import ImageRecord, Ledger
from pages.services.pictures import read_at_size
from pages.services.plain import plain
from pages.services.quality import kept
from pages.services.review_agreement import agreements, borderline
from pages.services.review_results import REASONS, judged_synthetic, taken_out, view_of
from pages.services.review_state import made_from
from pages.services.review_store import Item, Reviewer, Round
from pages.services.settings import RunConfig
from pages.services.workspace import Workspace

AHEAD = 4  # pictures sent before they are asked for: more than anyone judges in the time one takes to arrive


@dataclass(frozen=True, slots=True)
class Sizes:
    """Most pictures of each kind in a round; ``primary``: None for all that count, ``others``: of each other method."""

    ok: int = 30
    primary: int | None = None
    others: int = 10
    real: int = 30

    def __post_init__(self) -> None:
        if any(size is not None and not 0 <= size <= 500 for size in (self.ok, self.primary, self.others, self.real)):
            raise IasError(f"a review takes 0 to 500 pictures of each kind, got {self}")


def begin(
    ws: Workspace,
    detector: DetectorResult,
    synthesis: SynthesisResult,
    config: RunConfig,
    *,
    sizes: Sizes,
    seed: int,
    after: int,
    now: str,
) -> Round:
    """Draw the pictures of a new round: OK, synthetic NG that count, and real NG that seeded no generator.

    Good parts that a drawn synthetic NG was made on come last, since beside it they would give it away. ``after``:
    see ``review_store.open_round``.

    Raises
    ------
    IasError
        Nothing to judge, or impossible sizes.
    """
    rng = np.random.default_rng([seed, after])
    items, parents = _synthetic(synthesis, sizes, rng)
    ledger = Ledger(ws)
    ok = [one for role in ("calibration_ok", "check_ok") for one in ledger.records(role=role)]
    ok = sorted(_shuffled(ok, rng), key=lambda record: record.name in parents)[: sizes.ok]
    ng = [one for role in ("verification_ng", "threshold_ng") for one in ledger.records(role=role)]
    items += [Item(one.sha256, "ok", one.name) for one in ok]
    items += [Item(one.sha256, "real", one.name) for one in _shuffled(ng, rng)[: sizes.real]]
    if not items:
        raise IasError("there is no picture to review: load good parts, or ask for more than 0 of a kind")
    return review_store.open_round(
        ws, items, seed=seed, made_from=made_from(detector.digest, config), after=after, now=now
    )


def _synthetic(synthesis: SynthesisResult, sizes: Sizes, rng: np.random.Generator) -> tuple[list[Item], set[str]]:
    """Drawn synthetic NG, and the names of the good parts that they were made on."""
    found: dict[str, Item] = {}
    parents: set[str] = set()
    for method, scored in synthesis.sets.items():
        facts = synthesis.meta["methods"][method]
        if method == synthesis.meta.get("graded") or "picture_ids" not in facts:
            continue
        most = sizes.primary if method == synthesis.meta["primary"] else sizes.others
        for i in _shuffled(np.flatnonzero(kept(facts)).tolist(), rng)[:most]:
            key = facts["picture_ids"][i]
            found.setdefault(key, Item(key, "synthetic", scored.names[i], method))
            parents |= set(facts.get("parent_names", ())[i : i + 1])
    return list(found.values()), parents


def _shuffled(values: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    return [values[i] for i in rng.permutation(len(values))]


def order_of(round_: Round, reviewer: str) -> tuple[Item, ...]:
    """The round's pictures in this reviewer's order: the same whenever they come back."""
    told = f"{round_.seed}/{round_.number}/{reviewer.casefold()}"
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(told.encode()).digest()[:16], "big"))
    return tuple(_shuffled(round_.items, rng))


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a reviewer stands. What kind a picture is of must not be shown.

    done, total : pictures judged, and in the round
    item        : the picture to judge now, None when all are judged
    sequence    : to be handed back with the decision
    ahead       : pictures that come next
    last        : (item, sequence) to withdraw the newest decision with; None where there is none
    version     : entries of this reviewer in the round so far: grows with each, so an older desk is told by it
    ended       : the results were opened to this reviewer
    """

    done: int
    total: int
    item: Item | None
    sequence: int
    ahead: tuple[Item, ...]
    last: tuple[str, int] | None
    version: int
    ended: bool


def desk_of(ws: Workspace, round_: Round, reviewer: str) -> Desk:
    """What is on a reviewer's desk, from what is stored."""
    mine = next(
        (one for one in review_store.reviewers(ws, round_.number) if one.name == reviewer),
        Reviewer(reviewer, {}, {}, ""),
    )
    waiting = [item for item in order_of(round_, reviewer) if item.key not in mine.choices]
    last = next(reversed(mine.choices), None)
    return Desk(
        done=len(mine.choices),
        total=len(round_.items),
        item=waiting[0] if waiting else None,
        sequence=mine.sequences.get(waiting[0].key, 0) + 1 if waiting else 0,
        ahead=tuple(waiting[1 : 1 + AHEAD]),
        last=(last, mine.sequences[last] + 1) if last else None,
        version=sum(mine.sequences.values()),
        ended=bool(mine.ended),
    )


def picture_png(item: Item, size: int, records: dict[str, ImageRecord], synthesis: SynthesisResult) -> bytes:
    """PNG of (size, size) pixels, made the same way of every kind, with nothing in it but pixels.

    Parameters
    ----------
    size : int
        The detector's input size, at which synthetic NG are made.

    Raises
    ------
    ImageRefused
        If the picture is not there any more, or its file was changed; the message names no picture.
    """
    from PIL import Image

    gone = ImageRefused("this picture cannot be shown: its file was moved or changed")
    if item.kind == "synthetic":
        stems = dict(
            zip(synthesis.meta["methods"][item.method]["picture_ids"], synthesis.sets[item.method].ids, strict=True)
        )
        if item.key not in stems:
            raise gone
        picture = synthesis.picture(stems[item.key])
    else:
        try:
            picture = read_at_size(records[item.key], size)
        except (KeyError, ImageRefused):
            raise gone from None
    buffer = io.BytesIO()
    Image.fromarray(np.rint(picture * 255).astype(np.uint8), "RGB").save(buffer, "PNG")
    return buffer.getvalue()


def summary(
    ws: Workspace,
    detector: DetectorResult,
    synthesis: SynthesisResult,
    config: RunConfig,
    *,
    threshold: float | None,
    review_from: float | None = None,
) -> dict[str, Any] | None:
    """The review as a release records it, JSON-ready; None where nobody has ended a round on these pictures.

    Parameters
    ----------
    threshold, review_from : float or None
        The detector's verdicts: NG from the threshold on, to be looked at from ``review_from`` on.

    Returns
    -------
    dict
        "reviewers": [{"name", "n"}]; "accepted", "rejected", "open": synthetic NG that the majority calls NG, that
        are out of every count, and the others; "borderline": pictures; "agreement": [{"between", "n", "agree",
        "kappa", "low", "high", "flag"}], each of one kind of picture or said to be of all.
    """
    view = view_of(ws, detector, synthesis, config, threshold=threshold, review_from=review_from)
    if view is None or not view.reviewers or view.round.made_from != made_from(detector.digest, config):
        return None
    out = taken_out(config)
    opinions = judged_synthetic(view, REASONS)
    rejected = [one for one in opinions if one.item.key in out]
    accepted = [one for one in opinions if one.verdict == "accepted" and one.item.key not in out]
    return {
        "reviewers": [{"name": one.name, "n": len(one.choices)} for one in view.reviewers],
        "accepted": len(accepted),
        "rejected": len(rejected),
        "open": len(opinions) - len(accepted) - len(rejected),
        "borderline": len(borderline(view)),
        "agreement": [
            {
                "between": f"{row.between}, {row.pictures}",
                "n": row.found.agree.n if row.found else 0,
                "agree": plain(row.found.agree) if row.found else None,
                "kappa": row.found.kappa if row.found else None,
                "low": row.found.low if row.found else None,
                "high": row.found.high if row.found else None,
                "flag": row.flag,
            }
            for row in agreements(view)
        ],
    }
