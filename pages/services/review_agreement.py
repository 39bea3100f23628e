"""How far reviewers agree with each other and with the detector, and the pictures that nobody can place.

Kinds of pictures are never mixed without saying so: kappa depends on how frequent NG are among what was judged.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from calibration.agreement import GroupAgreement, PairAgreement, many_raters, two_raters
from calibration.rules import is_ng
from pages.services.review_results import View
from pages.services.review_store import KINDS, Item, Kind

DETECTOR = "the detector"
EVERY_KIND = "all kinds together"
_PICTURES: dict[Kind, str] = {"ok": "good parts", "synthetic": "synthetic NG", "real": "real NG"}

FLAGS = {
    "one class": "cannot tell: both call every picture the same, so kappa is not defined",
    "one rater": "cannot tell: one of the two says the same of every picture, so kappa is 0 whatever the other says",
    "too few": "cannot tell: fewer than 8 pictures give kappa no interval",
    "no spread": "they never differ here, so kappa has no interval: see the limit of the agreement",
    "rare class": "one class is rare, so kappa is low although they agree: read the agreement, and PABAK",
    "": "",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What one reviewer said of one kind of picture: a count for each verdict and look, and n pictures judged."""

    reviewer: str
    kind: Kind
    n: int
    verdicts: dict[str, int]
    looks: dict[str, int]


def said(view: View) -> tuple[Said, ...]:
    """Every reviewer on every kind that the round has."""
    rows = []
    for one in view.reviewers:
        for kind in KINDS:
            choices = [one.choices[item.key] for item in view.of_kind(kind) if item.key in one.choices]
            if choices:
                verdicts, looks = Counter(c.verdict for c in choices), Counter(c.look for c in choices)
                rows.append(Said(one.name, kind, len(choices), dict(verdicts), dict(looks)))
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class Row:
    """Agreement of two, or of all reviewers, on the pictures of one kind.

    between  : whose
    pictures : of which kind; for all kinds together, how many of each
    found    : None where no picture was judged by all of them
    left_out : pictures that one of them could not tell, or has not judged
    kept     : real NG without a verdict of the detector, kept for verification or not scored yet
    flag     : what kappa cannot say here, in words
    """

    between: str
    kind: Kind | None
    pictures: str
    found: PairAgreement | GroupAgreement | None
    left_out: int
    kept: int = 0

    @property
    def flag(self) -> str:
        return FLAGS[self.found.flag] if self.found else "cannot tell: they judged no picture in common"


def agreements(view: View) -> tuple[Row, ...]:
    """Each pair of reviewers, all of three and more, and each with the detector; by kind, then over all kinds."""
    calls = {
        one.name: {
            key: choice.verdict == "NG" for key, choice in one.choices.items() if choice.verdict != "cannot tell"
        }
        for one in view.reviewers
    }
    names = list(calls)
    groups = [(pair, " and ".join(pair)) for pair in combinations(names, 2)]
    if len(names) > 2:
        groups.append((tuple(names), f"all {len(names)} reviewers"))
    kinds = [kind for kind in KINDS if view.of_kind(kind)]
    kinds = [*kinds, None] if len(kinds) > 1 else kinds
    rows = [
        _row(between, kind, view.of_kind(kind), [calls[one] for one in group])
        for group, between in groups
        for kind in kinds
    ]
    if view.threshold is None:
        return tuple(rows)
    keys = list(view.scores)
    verdicts = is_ng(np.array([view.scores[key] for key in keys]), view.threshold) if keys else []
    detector = dict(zip(keys, map(bool, verdicts), strict=True))
    for name in names:
        for kind in kinds:
            items = [item for item in view.of_kind(kind) if item.key in detector]
            kept = len(view.of_kind(kind)) - len(items)
            rows.append(_row(f"{name} and {DETECTOR}", kind, items, [calls[name], detector], kept))
    return tuple(rows)


def _row(between: str, kind: Kind | None, items: list[Item], calls: list[dict[str, bool]], kept: int = 0) -> Row:
    both = [item for item in items if all(item.key in one for one in calls)]
    if kind is not None:
        pictures = _PICTURES[kind]
    else:
        mix = Counter(item.kind for item in both)
        pictures = f"{EVERY_KIND} ({', '.join(f'{mix[k]} {_PICTURES[k]}' for k in KINDS if mix[k]) or 'none'})"
    found: PairAgreement | GroupAgreement | None = None
    if both:
        table = np.array([[one[item.key] for one in calls] for item in both])  # (n, m) bool
        found = two_raters(*table.T) if len(calls) == 2 else many_raters(table)
    return Row(between, kind, pictures, found, len(items) - len(both), kept)


@dataclass(frozen=True, slots=True)
class Borderline:
    """A picture that people, or the detector, cannot place.

    said  : what each reviewer said, in words
    score : None while it is kept for verification
    why   : reasons, in words
    """

    item: Item
    said: str
    score: float | None
    why: str


def borderline(view: View) -> tuple[Borderline, ...]:
    """Pictures on which reviewers differ, or that one cannot tell, or in the review band; most doubtful first."""
    found = []
    for item in view.round.items:
        choices = {one.name: one.choices[item.key] for one in view.reviewers if item.key in one.choices}
        verdicts, score = {choice.verdict for choice in choices.values()}, view.scores.get(item.key)
        why = ["reviewers differ"] if {"OK", "NG"} <= verdicts else []
        why += ["cannot tell"] if "cannot tell" in verdicts else []
        if score is not None and None not in (view.review_from, view.threshold):
            why += ["in the review band"] if view.review_from <= score < view.threshold else []
        if why and choices:
            words = ", ".join(f"{name}: {choice.verdict}" for name, choice in choices.items())
            found.append(Borderline(item, words, score, ", ".join(why)))
    return tuple(sorted(found, key=lambda one: (-len(one.why.split(", ")), one.item.kind, one.item.name)))
