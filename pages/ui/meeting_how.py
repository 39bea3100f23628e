"""How each number of the meeting was computed: rule, n, source of the scores, seed, limit and its method."""

from typing import Any

from calibration.rules import percent
from pages.ui import words
from pages.ui.markdown import plain_text

_LIMITS = "exact one-sided limits (Clopper-Pearson)"


def threshold(content: dict[str, Any]) -> str:
    """Where the threshold comes from."""
    fixed, scores, report = content["threshold"], content["scores"], content["report"]
    promises = [
        row["promise"] for row in report["thresholds"] if (row["rule"], row["value"]) == (fixed["rule"], fixed["value"])
    ]
    return _lines(
        f"Value: {fixed['value']!r} {fixed['unit']}. A part is NG when its score is at or above it.",
        f"Rule: {fixed['title']} ({fixed['origin']}), fixed {fixed['fixed_at']}.",
        *(f"The rule promises: {promise}." for promise in promises if promise),
        f"Set on {len(scores['reference'])} {words.OK_SOURCES[scores['reference_source']]} scores; "
        "synthetic NG and real NG do not move the recommended value.",
        f"Review band: {_review(fixed)}.",
        _basis(content),
    )


def grade(content: dict[str, Any]) -> str:
    """What the evidence class stands on."""
    found, stated = content["evidence_class"], content["verification"]["stated"]
    return _lines(
        f"Evidence {found['key']}: {found['title']}.",
        f"It stands on {found['stands_on']}.",
        f"Target: at least {percent(stated['target_recall'])} of defects caught, at {percent(stated['confidence'])} "
        f"confidence, stated {stated['at']}; it takes {stated['needed_ng']} real NG without a miss.",
        "The classes and what may be released under each are this product's own convention; no standard defines them.",
    )


def good_parts(content: dict[str, Any]) -> str:
    """The count of good parts rejected."""
    return _lines(
        _count(content["counts"]["ok"], "good parts with a score at or above the threshold"),
        "Source: check OK pictures, which are in no other role.",
        _basis(content),
    )


def synthetic(content: dict[str, Any]) -> str:
    """The count of synthetic NG caught."""
    bound = content["counts"]["synthetic"]
    return _lines(
        f"{bound['k']} of {bound['n']} synthetic NG with a score at or above the threshold.",
        f"Source: {words.method(bound['method'])}, those that quality control and reviewers kept.",
        "No limit is given: it would speak of more such pictures, not of real defects. This is not evidence of escape.",
        _basis(content),
    )


def real(content: dict[str, Any]) -> str:
    """The count of real NG caught."""
    stated = content["verification"]["stated"]
    return _lines(
        _count(content["counts"]["real"], "real NG with a score at or above the threshold"),
        "Source: verification NG; nothing before has used them, by lineage and not by file name.",
        f"Target stated {stated['at']}, with the threshold.",
        _basis(content),
    )


def picture(content: dict[str, Any]) -> str:
    """What is drawn."""
    scores = content["scores"]
    return _lines(
        f"Good parts: {len(scores['ok'])} {words.OK_SOURCES[scores['ok_source']]} pictures.",
        f"Synthetic NG: {len(scores['synthetic'])}, {words.method(scores['synthetic_method'])}."
        if scores["synthetic"]
        else "Synthetic NG: none.",
        f"Real NG: {len(scores['real'])} verification NG.",
        f"Review band: {_review(content['threshold'])}.",
        _basis(content),
    )


def mistakes(content: dict[str, Any]) -> str:
    """How the pictures were chosen and coloured."""
    low, high = content["map_scale"]
    return _lines(
        "Missed: real NG below the threshold, the lowest score first. Wrongly rejected: check OK at or above it, the "
        "highest first.",
        f"Up to six of each are shown; the record lists all {len(content['missed'])} and "
        f"{len(content['false_rejects'])}.",
        f"One colour scale for all maps: no tint at {low:.3g} or below, yellow at {high:.3g} or above (feature "
        "distance), from good parts alone.",
    )


def covered(content: dict[str, Any]) -> str:
    """What the table of failure modes counts."""
    confidence = content["verification"]["stated"]["confidence"]
    return _lines(
        f"Real: verification NG of the mode's kinds, caught at the threshold, with {_LIMITS} at {percent(confidence)}, "
        "each on its own.",
        "Synthetic: of the methods that stand for the mode; not evidence of escape.",
        "To refute: if all of them are missed. To prove: if none is missed.",
        "Most urgent first: severity × escape rate that is not excluded yet; a severity nobody rated counts as 10.",
    )


def _count(bound: dict[str, Any], what: str) -> str:
    return (
        f"{bound['k']} of {bound['n']} {what}. At {percent(bound['confidence'])}: between {percent(bound['low'])} and "
        f"{percent(bound['high'])}, {_LIMITS}, each on its own."
    )


def _review(fixed: dict[str, Any]) -> str:
    if fixed["review_from"] is None:
        return f"none ({plain_text(fixed['review_why'])})" if fixed["review_why"] else "none"
    return f"from {fixed['review_from']:.4f} up to the threshold a person decides ({plain_text(fixed['review_why'])})"


def _basis(content: dict[str, Any]) -> str:
    detector, code = content["detector"], content["inputs"]["code"]
    return (
        f"Seed {content['inputs']['config']['seed']}; memory bank {detector['bank_id'][:16]} of "
        f"{detector['bank_size']} features; software {code['version']}."
    )


def _lines(*sentences: str) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)
