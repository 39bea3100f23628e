"""What the first page of a record says, as sentences and rows; HTML and PDF only lay it out.

Lengths are in ems, the size of the letters, and such that the page holds all of it at once: they follow from the
widths and type sizes in ``as_pdf`` and ``assets/record.html.j2``.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Sequence
from typing import Any

from calibration.rules import percent
from ias_core.errors import IasError
from pages.services.document.blocks import Banner, Count, FirstPage, Listed, Mistakes, ModeRow, SignatureRow, Thumb
from pages.services.document.fonts import cut, width
from pages.services.document.words import at_least, at_most, first, number, of, rate, score, shown

SCHEMA = "ng0-release/1"
KEEP_THE_HASH = (
    "Keep it elsewhere too: whoever can rewrite the whole chain of records can forge it, but not this paper."
)
MEANINGS = ("calibrated", "reviewed", "approved")
_LINE, _LINES = 30.0, 15  # ems of a line of conditions, and how many lines there are for all
MOST_MODES, MOST_THUMBS, MOST_SIGNATURES = 12, 3, 3
OK_SOURCES = {
    "check": "good parts kept apart for the check",
    "held-out": "good parts kept apart for the threshold",
    "leave-one-out": "good parts of the memory bank, each left out once",
}


def first_page(content: dict[str, Any], signatures: Sequence[dict[str, Any]], record_sha256: str) -> FirstPage:
    """The first page of a record.

    Parameters
    ----------
    content : dict
        In the schema "ng0-release/1".
    signatures : sequence of dict
        Bodies of signatures under this content, oldest first.
    record_sha256 : str
        The record hash.

    Raises
    ------
    IasError
        A record hash that is no sha256, another schema, a threshold that is no finite number, or a thumbnail that is
        no JPEG.
    """
    if not re.fullmatch("[0-9a-f]{64}", record_sha256):
        raise IasError(
            f"expected the record hash as 64 hexadecimal digits, got {record_sha256!r}: sign the record first"
        )
    if content.get("schema") != SCHEMA:
        raise IasError(f"expected a record of the schema {SCHEMA}, got {content.get('schema')!r}")
    threshold, product, found = content["threshold"], content["product"], content["evidence_class"]
    if not math.isfinite(threshold["value"]):
        raise IasError(f"expected a finite threshold in the record, got {threshold['value']}: fix one, then sign")
    banners = banners_of(content, signatures)
    modes, coverage_more = first([mode_row(one) for one in content["coverage"]], MOST_MODES)
    rows, signatures_more = first(_signature_rows(signatures), MOST_SIGNATURES)
    part = shown(product["part"]).strip() or "part not named"
    review_from = threshold["review_from"]
    return FirstPage(
        title=f"Threshold record: {cut(part, 60)}",
        banners=banners,
        part=cut(part, 42),
        place=" · ".join(
            f"{label}: {cut(product[key].strip() or 'not named', 24)}"
            for key, label in (("line", "line"), ("camera", "camera"), ("light", "light"))
        ),
        proposed_release=cut(content["proposed_release"].strip() or "none stated", 85),
        threshold=score(threshold["value"]),
        threshold_is=cut(f"{threshold['unit']} · {threshold['title']} ({threshold['origin']})", 44),
        review_is=f"A person decides from {score(review_from)} up to it" if review_from is not None else "",
        class_head=f"{found['key']} · {found['title']}",
        class_text=cut(f"Stands on {found['stands_on']}. {found['may']}", 130),
        counts=_counts(content),
        mistakes=_mistakes(content),
        map_scale=map_scale(content),
        coverage_title=_coverage_title(content["coverage"]),
        coverage=modes,
        coverage_more=coverage_more,
        conditions=_conditions(content),
        signatures=rows,
        signatures_more=signatures_more,
        sha256=record_sha256,
        keep_the_hash=KEEP_THE_HASH,
        status=", ".join(banner.head for banner in banners),
    )


def banners_of(content: dict[str, Any], signatures: Sequence[dict[str, Any]]) -> tuple[Banner, ...]:
    """What stands above everything else; () only for a checked threshold with every signature."""
    found, banners = content["evidence_class"], []
    if content["verification"]["status"] != "checked":
        banners.append(
            Banner(
                "PROVISIONAL",
                "not checked on real NG of its own. It may be used to collect parts, not to release them.",
                stops=True,
            )
        )
    if found["refuted"]:
        banners.append(Banner("REFUTED", f"{found['title']}. {found['may']}", stops=True))
    given = {one["meaning"] for one in signatures}
    if missing := [meaning for meaning in MEANINGS if meaning not in given]:
        banners.append(Banner("NOT APPROVED", f"signatures missing: {', '.join(missing)}.", stops=False))
    return tuple(banners)


def _counts(content: dict[str, Any]) -> tuple[Count, ...]:
    counts, stated = content["counts"], content["verification"]["stated"]
    ok, made, real = counts["ok"], counts["synthetic"], counts["real"]
    return (
        Count("ok", of(ok), "good parts rejected", at_most(ok), OK_SOURCES[content["scores"]["ok_source"]])
        if ok
        else Count("ok", "not checked", "good parts rejected", "no good parts were kept apart for it", ""),
        Count(
            "synthetic",
            of(made),
            "synthetic NG caught: not evidence of escape",
            at_least(made),
            cut(f"made by {made['method']}", 22),
        )
        if made
        else Count("synthetic", "none", "synthetic NG scored", "", ""),
        Count(
            "real",
            of(real),
            "real NG caught",
            at_least(real),
            f"target, stated before: {percent(stated['target_recall'])}, {percent(stated['confidence'])} confidence",
        )
        if real
        else Count("real", "not checked", "real NG caught", "nothing is known about escapes yet", ""),
    )


def thumb(content: dict[str, Any], mistake: dict[str, Any], *, width: float) -> Thumb:
    """One mistake; ``width`` of its file name."""
    pair = content["thumbnails"].get(mistake["sha256"], {})
    for key, picture in pair.items():
        try:
            is_jpeg = base64.b64decode(picture, validate=True).startswith(b"\xff\xd8")
        except (binascii.Error, ValueError):
            is_jpeg = False
        if not is_jpeg:
            raise IasError(f"expected a JPEG as {key} of {shown(mistake['file'])}, got something else: make them again")
    return Thumb(cut(mistake["file"], width), score(mistake["score"]), pair.get("picture", ""), pair.get("map", ""))


def worst_first(content: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Missed NG from the lowest score up, rejected good parts from the highest down."""
    return (
        sorted(content["missed"], key=lambda one: one["score"]),
        sorted(content["false_rejects"], key=lambda one: -one["score"]),
    )


def _mistakes(content: dict[str, Any]) -> tuple[Mistakes, ...]:
    ok, real = content["counts"]["ok"], content["counts"]["real"]
    rows = []
    for title, bound, mistakes, none in zip(
        ("Real NG missed", "Good parts rejected"),
        (real, ok),
        worst_first(content),
        ("None was missed.", "None was rejected."),
        strict=True,
    ):
        few, more = first(mistakes, MOST_THUMBS)
        rows.append(
            Mistakes(
                title=f"{title}: {len(mistakes)} of {bound['n']}" if bound else f"{title}: not checked",
                thumbs=tuple(thumb(content, one, width=12) for one in few),
                more=more,
                none="" if mistakes else none if bound else "Not checked.",
            )
        )
    return tuple(rows)


def map_scale(content: dict[str, Any]) -> str:
    """The one colour scale of all maps."""
    low, high = content["map_scale"]
    unit = cut(content["threshold"]["unit"], 20)
    return f"Beside each picture its map; all maps on one colour scale, {number(low)} to {number(high)} ({unit})."


def mode_row(mode: dict[str, Any]) -> ModeRow:
    """One failure mode; synthetic NG never stand for real ones."""
    real = "NO EVIDENCE" if mode["evidence"] == "none" else "none"
    if mode["n_real"]:
        real = f"{mode['caught_real']} of {mode['n_real']}"
        if mode["low_real"] is not None:
            real += f", at least {rate(mode['low_real'])}"
    made = f"{mode['caught_synthetic']} of {mode['n_synthetic']}" if mode["n_synthetic"] else "none"
    severity = "-" if mode["severity"] is None else str(mode["severity"])
    return ModeRow(cut(mode["mode"], 13.2), severity, mode["evidence"], real, made)


def _coverage_title(modes: list[dict[str, Any]]) -> str:
    if not modes:
        return "Failure modes: none listed"
    empty = sum(mode["evidence"] == "none" for mode in modes)
    made = sum(mode["evidence"] == "synthetic" for mode in modes)
    return f"Failure modes: {empty} of {len(modes)} without evidence, {made} with synthetic NG only"


def _conditions(content: dict[str, Any]) -> tuple[Listed, ...]:
    found = content["conditions"]
    lists = [found[key] or ["nothing stated"] for key in ("valid_for", "verify_again_when", "collect_next")]
    short = [[cut(item, 1.85 * _LINE) for item in items] for items in lists]
    taken = _shared([[1 if width(item, 1) <= _LINE else 2 for item in items] for items in short], _LINES)
    valid, again, collect = (
        Listed(title, *first(items, n))
        for title, items, n in zip(("Valid for", "Verify again when", "Collect next"), short, taken, strict=True)
    )
    expires = Listed(f"Expires: {found['expires'] or 'no date stated'}", (), "")
    return valid, expires, again, collect


def _shared(needs: Sequence[Sequence[int]], lines: int) -> list[int]:
    """How many items of each list go on the page: the first of each, then in turn while there are lines.

    Examples
    --------
    >>> _shared([[2, 2, 2], [1], [1, 1, 1, 1]], 8)
    [2, 1, 3]
    """
    taken = [min(1, len(items)) for items in needs]
    left = lines - sum(items[0] for items in needs if items)
    open_lists = set(range(len(needs)))
    while open_lists:
        for i in sorted(open_lists):
            if taken[i] < len(needs[i]) and needs[i][taken[i]] <= left:
                left -= needs[i][taken[i]]
                taken[i] += 1
            else:
                open_lists.discard(i)
    return taken


def identity_words(identity: dict[str, Any], *, ems: float = math.inf) -> str:
    """How it is known who signed; ``ems``: room for the issuer."""
    if identity["how"] == "OpenID Connect":
        return f"OpenID Connect, {cut(identity['issuer'], ems)}"
    return cut(identity["how"], ems)


def _signature_rows(signatures: Sequence[dict[str, Any]]) -> list[SignatureRow]:
    """One of each meaning, or that it is missing, then all others: none is cut off that is the only one of its kind."""
    leading, others = [], list(signatures)
    for meaning in MEANINGS:
        given = next((one for one in signatures if one["meaning"] == meaning), None)
        if given is None:
            leading.append(SignatureRow(meaning, "missing", "", "", "", missing=True))
        else:
            others.remove(given)
            leading.append(_signature_row(given))
    return leading + [_signature_row(one) for one in others]


def _signature_row(given: dict[str, Any]) -> SignatureRow:
    return SignatureRow(
        meaning=shown(given["meaning"]),
        name=cut(given["signed_by"], 12),
        identity=identity_words(given["identity"], ems=13.5),
        at=cut(given["at"], 14),
        reason=cut(given["reason"], 36),
        missing=False,
    )
