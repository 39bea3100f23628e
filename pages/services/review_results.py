"""What reviewers who have ended a round may be shown, and which synthetic NG stand after it.

Only choices made blind are here, and only of reviewers who have ended. Real NG decide nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from calibration.review import by_staffing
from pages.services import review_store
from pages.services.artifacts import DetectorResult, SynthesisResult
from pages.services.decision import current_decision
from pages.services.filters import Effect, effect_of
from pages.services.ledger import Ledger
from pages.services.review_store import VERDICTS, Item, Kind, Reviewer, Round
from pages.services.settings import RunConfig, to_dict
from pages.services.thresholds import evidence_of
from pages.services.verification import basis_of, free_ng, note_seen, seen_ng
from pages.services.workspace import Workspace

Reason = Literal["called OK", "looks made"]
REASONS: tuple[Reason, ...] = ("called OK", "looks made")
REJECTED_BY = "expert review, round"  # every reason given by a review begins like this


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Everything results are read from.

    reviewers : those who have ended the round, with at least one choice
    waiting   : those who have not: their choices are shown to nobody
    scores    : item -> the detector's score; of real NG only those that nothing is kept blind for any more
    threshold, review_from : as in ``view_of``
    """

    round: Round
    reviewers: tuple[Reviewer, ...]
    waiting: tuple[Reviewer, ...]
    scores: dict[str, float]
    threshold: float | None
    review_from: float | None

    def of_kind(self, kind: Kind | None) -> list[Item]:
        """Items of one kind, or all of them."""
        return [item for item in self.round.items if kind is None or item.kind == kind]


def view_of(
    ws: Workspace,
    detector: DetectorResult,
    synthesis: SynthesisResult,
    config: RunConfig,
    *,
    threshold: float | None,
    review_from: float | None,
) -> View | None:
    """The current round as it may be shown to people who are not blind; None where there is no round.

    Verification must meet real NG whose scores nobody has seen. So only real NG that set a threshold, or whose scores
    were on screen elsewhere, are compared with the detector here; they are noted as seen on this detector too.

    Parameters
    ----------
    threshold, review_from : float or None
        The detector calls NG from the threshold on, and review from ``review_from`` on; None where there is none.
    """
    round_ = review_store.current_round(ws)
    if round_ is None:
        return None
    found = review_store.reviewers(ws, round_.number)
    free, seen = free_ng(ws), seen_ng(ws)
    spent = {record.sha256 for record in Ledger(ws).records(role="threshold_ng")}
    known: dict[str, float] = {}
    for name in ("calibration", "check", "ng"):
        of_set = detector.sets[name]
        known |= dict(zip(of_set.ids, of_set.image_scores.tolist(), strict=True))
    for name, scored in synthesis.sets.items():
        keys = synthesis.meta["methods"][name].get("picture_ids", ())
        known |= dict(zip(keys, scored.image_scores.tolist(), strict=False))
    may = {item.key for item in round_.items if item.kind != "real" or item.key in spent | seen}
    shown = {item.key for item in round_.items if item.kind == "real" and item.key in may & free & known.keys()}
    if shown:
        note_seen(ws, shown, basis=basis_of(detector.meta["bank_id"], to_dict(config)["thresholds"]))
    return View(
        round=round_,
        reviewers=tuple(one for one in found if one.ended and one.choices),
        waiting=tuple(one for one in found if not one.ended),
        scores={key: known[key] for key in may & known.keys()},
        threshold=threshold,
        review_from=review_from,
    )


@dataclass(frozen=True, slots=True)
class Line:
    """Where the detector draws the line.

    threshold   : NG from here on; None where nothing gives one
    review_from : to be looked at from here on, by what people can look at; None without such a band
    is_         : "fixed" or "recommended"
    """

    threshold: float | None
    review_from: float | None
    is_: str


def line_of(ws: Workspace, detector: DetectorResult, synthesis: SynthesisResult, config: RunConfig) -> Line:
    """The fixed threshold, if there is one for this memory bank, else the recommended one; with its review band."""
    decision = current_decision(ws)
    if decision is not None and decision.bank_id == detector.meta["bank_id"]:
        value, which = decision.value, "fixed"
    else:
        value, which = effect_of(detector, synthesis, config, config.synthesis.rejected).recommended, "recommended"
    if value is None:
        return Line(None, None, which)
    evidence, asked = evidence_of(detector, None), config.thresholds
    band = by_staffing(
        evidence.ok, value, max_share=asked.review_share, confidence=asked.confidence, source=evidence.ok_source
    )
    return Line(value, None if band.review_from == value else band.review_from, which)


@dataclass(frozen=True, slots=True)
class Opinion:
    """What became of one synthetic NG.

    ng, ok, cannot_tell : reviewers who said so
    made, real          : reviewers to whom it looks so
    verdict : "accepted": more call it NG than OK, and no reason that counts stands against it. "rejected": one does.
        "open": neither, as after a draw, or while nobody has judged it
    why     : the reason with the reviewers' names; "" unless rejected
    """

    item: Item
    ng: tuple[str, ...]
    ok: tuple[str, ...]
    cannot_tell: tuple[str, ...]
    made: tuple[str, ...]
    real: tuple[str, ...]
    verdict: Literal["accepted", "rejected", "open"]
    why: str


def judged_synthetic(view: View, reasons: Collection[Reason]) -> tuple[Opinion, ...]:
    """Synthetic NG of the round, each by the majority of the reviewers who answered the question.

    A synthetic NG that people call OK is no defect to them; one that looks made is no defect as the line has them.
    "Cannot tell" and a skipped question are no answer, and a draw rejects nothing.
    """
    return tuple(_opinion(view, item, reasons) for item in sorted(view.of_kind("synthetic"), key=lambda i: i.name))


def _opinion(view: View, item: Item, reasons: Collection[Reason]) -> Opinion:
    said = {one.name: one.choices[item.key] for one in view.reviewers if item.key in one.choices}
    of = {verdict: tuple(name for name, choice in said.items() if choice.verdict == verdict) for verdict in VERDICTS}
    made, real = (tuple(name for name, choice in said.items() if choice.look == look) for look in ("made", "real"))
    against = []
    if "called OK" in reasons and len(of["OK"]) > len(of["NG"]):
        against.append(f"called OK by {', '.join(of['OK'])}")
    if "looks made" in reasons and len(made) > len(real):
        against.append(f"looks made to {', '.join(made)}")
    if against:
        verdict, why = "rejected", f"{REJECTED_BY} {view.round.number}: {' and '.join(against)}"
    else:
        verdict, why = ("accepted" if len(of["NG"]) > len(of["OK"]) else "open"), ""
    return Opinion(item, of["NG"], of["OK"], of["cannot tell"], made, real, verdict, why)


def taken_out(config: RunConfig) -> dict[str, str]:
    """Pictures that reviews have taken out of every count -> why."""
    return {one: why for one, why in config.synthesis.rejected.items() if why.startswith(REJECTED_BY)}


def to_be_changed(opinions: Collection[Opinion], config: RunConfig) -> dict[str, str]:
    """What ``filters.reject_many`` must be given so that exactly the rejected ones of this round are out.

    Pictures taken out by hand stay out, with the reason that was given.
    """
    out, by_hand = taken_out(config), config.synthesis.rejected.keys() - taken_out(config).keys()
    wanted = {one.item.key: one.why for one in opinions if one.verdict == "rejected" and one.item.key not in by_hand}
    back = {one.item.key: "" for one in opinions if one.item.key in out and one.item.key not in wanted}
    return back | {key: why for key, why in wanted.items() if out.get(key) != why}


@dataclass(frozen=True, slots=True)
class Moved:
    """What taking synthetic NG out does to the numbers of the primary method."""

    before: Effect
    after: Effect


def moved(
    detector: DetectorResult, synthesis: SynthesisResult, config: RunConfig, opinions: Collection[Opinion]
) -> Moved:
    """Without the review and with it; filters and what was rejected by hand stay in force in both."""
    by_hand = {one: why for one, why in config.synthesis.rejected.items() if not why.startswith(REJECTED_BY)}
    rejected = {one.item.key: one.why for one in opinions if one.verdict == "rejected"}
    before = effect_of(detector, synthesis, config, by_hand)
    return Moved(before, effect_of(detector, synthesis, config, rejected | by_hand))
