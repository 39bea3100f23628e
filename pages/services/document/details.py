"""What lies behind the first page: everything that a reader may want to check, as sections of text and tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from calibration.evidence import CLASSES
from calibration.rules import percent
from pages.services.chain import CANNOT_DO
from pages.services.document.blocks import Thumb
from pages.services.document.facts import OK_SOURCES, identity_words, map_scale, mode_row, thumb, worst_first
from pages.services.document.words import at_least, number, of, rate, score, shown

_MOST_THUMBS = 6


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts; ``shares`` of the width add up to 1. ``marked``: numbers of the rows that stand out."""

    heads: tuple[str, ...]
    shares: tuple[float, ...]
    rows: tuple[tuple[str, ...], ...]
    marked: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what belongs to it, in this order. ``listing``: many short lines, in small type."""

    title: str
    text: tuple[str, ...] = ()
    thumbs: tuple[Thumb, ...] = ()
    tables: tuple[Table, ...] = ()
    listing: tuple[str, ...] = ()


def sections(content: dict[str, Any], signatures: Sequence[dict[str, Any]], record_sha256: str) -> tuple[Section, ...]:
    """All sections, in the order in which the first page points to them."""
    return (
        _decision(content),
        *_mistakes(content),
        _coverage(content),
        _conditions(content),
        _signatures(signatures),
        _evidence(content),
        _rules(content),
        _verification(content),
        _review(content),
        _synthesis(content),
        _challenge(content),
        _detector(content),
        _hashes(content, record_sha256),
        _limits(),
        *_pictures(content),
    )


def lettered(found: Sequence[Section]) -> Iterator[tuple[str, Section]]:
    """Each section with its letter: A to Z, then A2 and so on."""
    for place, section in enumerate(found):
        turn, letter = divmod(place, 26)
        yield chr(ord("A") + letter) + (str(turn + 1) if turn else ""), section


def _decision(content: dict[str, Any]) -> Section:
    product, threshold, scores = content["product"], content["threshold"], content["scores"]
    review = "no review band"
    if threshold["review_from"] is not None:
        review = f"{threshold['review_from']!r}: {threshold['review_why']}"
    rows = [
        ("Part", product["part"] or "not named"),
        ("Line", product["line"] or "not named"),
        ("Camera", product["camera"] or "not named"),
        ("Light", product["light"] or "not named"),
        ("Proposed release", content["proposed_release"] or "none stated"),
        ("Threshold", f"{threshold['value']!r} ({threshold['unit']}); a part is NG when its score is at or above it"),
        ("Set by", f"{threshold['title']} ({threshold['origin']}), fixed {threshold['fixed_at']}"),
        ("A person decides from", review),
        ("Checked on", f"{len(scores['ok'])} {OK_SOURCES[scores['ok_source']]}"),
        ("Threshold set on", f"{len(scores['reference'])} {OK_SOURCES[scores['reference_source']]}"),
    ]
    return Section("The decision in full", tables=(_pairs(rows),))


def _mistakes(content: dict[str, Any]) -> list[Section]:
    found = []
    for title, mistakes in zip(("Real NG missed", "Good parts rejected"), worst_first(content), strict=True):
        rows = tuple((shown(one["file"]), score(one["score"]), shown(one["kind"]), one["sha256"]) for one in mistakes)
        pictured = [one for one in mistakes if one["sha256"] in content["thumbnails"]][:_MOST_THUMBS]
        table = Table(("File", "Score", "Kind", "sha256"), (0.26, 0.1, 0.14, 0.5), rows)
        found.append(
            Section(
                f"{title}: {len(mistakes)}",
                text=(map_scale(content),) if pictured else (),
                thumbs=tuple(thumb(content, one, width=12) for one in pictured),
                tables=(table,) if rows else (),
            )
        )
    return found


def _coverage(content: dict[str, Any]) -> Section:
    rows, empty = [], []
    for place, mode in enumerate(content["coverage"]):
        row = mode_row(mode)
        rows.append((shown(mode["mode"]), row.severity, row.evidence, row.real, row.synthetic, shown(mode["note"])))
        if mode["evidence"] == "none":
            empty.append(place)
    table = Table(
        ("Failure mode", "Severity", "Evidence", "Real NG caught", "Synthetic NG caught", "Note"),
        (0.27, 0.08, 0.1, 0.19, 0.13, 0.23),
        tuple(rows),
        tuple(empty),
    )
    return Section(
        "Coverage by failure mode",
        text=("Synthetic NG show where the detector looks; they are not evidence of what escapes.",),
        tables=(table,) if rows else (),
    )


def _conditions(content: dict[str, Any]) -> Section:
    found = content["conditions"]
    rows = [("Expires", found["expires"] or "no date stated")]
    for title, key in (
        ("Valid for", "valid_for"),
        ("Verify again when", "verify_again_when"),
        ("Collect next", "collect_next"),
    ):
        rows += [(title, item) for item in found[key]]
    return Section("Conditions", tables=(_pairs(rows),))


def _signatures(signatures: Sequence[dict[str, Any]]) -> Section:
    rows = tuple(
        (
            shown(one["meaning"]),
            shown(one["signed_by"]),
            shown(one["role"]),
            " ".join(
                part
                for part in (
                    identity_words(one["identity"]),
                    shown(one["identity"]["subject"] or ""),
                    shown(one["identity"]["email"] or ""),
                )
                if part
            ),
            shown(one["at"]),
            shown(one["reason"]),
            shown(one["sha256"]),
        )
        for one in signatures
    )
    table = Table(
        ("Meaning", "Printed name", "Role", "Identity", "Time", "Reason", "sha256 of the signature"),
        (0.09, 0.13, 0.1, 0.17, 0.12, 0.19, 0.2),
        rows,
    )
    return Section(
        "Signatures in full",
        text=(
            "In the style of 21 CFR Part 11 (printed name, time and meaning of each signature, linked to the record); "
            "this is not a claim of compliance. A name that is typed, unverified was checked by nobody.",
        ),
        tables=(table,) if rows else (),
    )


def _evidence(content: dict[str, Any]) -> Section:
    found = content["evidence_class"]
    rows, here = [], []
    for place, one in enumerate(CLASSES.values()):
        mine = one.key == found["key"]
        title, stands_on, may = (found[k] if mine else getattr(one, k) for k in ("title", "stands_on", "may"))
        rows.append((f"{one.key}, this one" if mine else one.key, shown(title), shown(stands_on), shown(may)))
        if mine:
            here.append(place)
    table = Table(("Class", "Title", "Stands on", "What may be done"), (0.11, 0.19, 0.3, 0.4), tuple(rows), tuple(here))
    return Section(
        "Evidence classes",
        text=(
            f"Target recall {percent(found['target_recall'])} with {percent(found['confidence'])} confidence. "
            "The classes are this product's own convention; no standard defines them.",
        ),
        tables=(table,),
    )


def _rules(content: dict[str, Any]) -> Section:
    rows, chosen = [], []
    for place, row in enumerate(content["report"]["thresholds"]):
        upper = row["fpr_upper_95"]
        expected = rate(row["expected_fpr"]) + (f", at most {rate(upper)}" if upper is not None else "")
        rows.append(
            (
                shown(row["title"]),
                score(row["value"]),
                shown(row["promise"] or f"No threshold: {row['reason']}"),
                f"{row['n_ok']} {shown(row['ok_source'])} OK"
                + (f", {row['n_synthetic']} synthetic NG" if row["n_synthetic"] else ""),
                expected,
                row["evidence_class"],
            )
        )
        if row["rule"] == content["threshold"]["rule"] and row["value"] is not None:
            chosen.append(place)
    table = Table(
        ("Rule", "Threshold", "Promise", "Scores it saw", "Good parts rejected: expected, 95 %", "Class"),
        (0.2, 0.09, 0.34, 0.14, 0.16, 0.07),
        tuple(rows),
        tuple(chosen),
    )
    return Section(
        "Every threshold rule",
        text=(
            "What each rule would have given on the same scores. The class is without real NG: whoever takes a rule "
            "for its real counts lets the real NG choose.",
        ),
        tables=(table,),
    )


def _verification(content: dict[str, Any]) -> Section:
    found = content["verification"]
    stated = found["stated"]
    return Section(
        f"Verification on {len(found['ng'])} real NG",
        text=(
            f"Stated {shown(stated['at'])}, before the scores were shown: recall at least "
            f"{percent(stated['target_recall'])} with {percent(stated['confidence'])} confidence. That takes at least "
            f"{stated['needed_ng']} real NG, if none is missed. Status: {shown(found['status'])}.",
        ),
        listing=tuple(found["ng"]),
    )


def _review(content: dict[str, Any]) -> Section:
    found = content["review"]
    if found is None:
        return Section("Expert review", text=("No expert review was made.",))
    reviewers = ", ".join(f"{shown(one['name'])} ({one['n']} pictures)" for one in found["reviewers"])
    rows = tuple(
        (
            shown(one["between"]),
            f"{of(one['agree'])}; {at_least(one['agree'])}" if one["agree"] else "no picture in common",
            "not defined" if one["kappa"] is None else f"{one['kappa']:.2f}",
            "-" if one["low"] is None else f"{one['low']:.2f} to {one['high']:.2f}",
            shown(one["flag"]),
        )
        for one in found["agreement"]
    )
    table = Table(("Between", "Agree", "Kappa", "Interval", "Note"), (0.26, 0.3, 0.09, 0.12, 0.23), rows)
    return Section(
        "Expert review, blind",
        text=(
            f"Reviewers: {reviewers or 'none'}. Synthetic NG: {found['accepted']} accepted, {found['rejected']} "
            f"rejected, {found['open']} open. {found['borderline']} pictures are borderline.",
        ),
        tables=(table,) if rows else (),
    )


def _synthesis(content: dict[str, Any]) -> Section:
    found = content["report"]["synthesis"]
    rows = []
    for name, row in found["methods"].items():
        rejected = ", ".join(f"{n} {reason}" for reason, n in row["rejected"].items() if n)
        shift = found["shift_in_R"].get(name)
        rows.append(
            (
                shown(name) + (", counted on page 1" if name == content["scores"]["synthetic_method"] else ""),
                f"{row['n_kept']} of {row['n_made']}" + (f"; rejected: {shown(rejected)}" if rejected else ""),
                "-" if shift is None else f"{shift:.3g}",
                f"{len(row['from_ng'])} real NG" if row["from_ng"] else "good parts alone",
                shown(row["blocked"]) or "-",
                ", ".join(f"{shown(key)} {value}" for key, value in row["made_with"].items()) or "-",
            )
        )
    table = Table(
        ("Method", "Kept", "Shift in R", "Made from", "Blocked", "Networks (sha256)"),
        (0.22, 0.2, 0.08, 0.12, 0.14, 0.24),
        tuple(rows),
    )
    return Section("Synthetic NG by method", tables=(table,) if rows else ())


def _challenge(content: dict[str, Any]) -> Section:
    rows = tuple(
        (
            shown(one["file"]),
            one["label"].upper(),
            score(one["score"]),
            "-" if one["low"] is None and one["high"] is None else f"{number(one['low'])} to {number(one['high'])}",
            one["sha256"],
        )
        for one in content["challenge"]
    )
    table = Table(("File", "Part is", "Score", "Limits", "sha256"), (0.2, 0.07, 0.09, 0.14, 0.5), rows)
    return Section(
        "Challenge parts",
        text=("Show these to the line at the start of each shift; outside the limits, stop and look.",)
        if rows
        else ("No challenge parts were chosen.",),
        tables=(table,) if rows else (),
    )


def _detector(content: dict[str, Any]) -> Section:
    found = content["detector"]
    return Section(
        "Detector",
        tables=(
            _pairs(
                [
                    ("Method", "PatchCore"),
                    ("Backbone", f"{found['backbone']}, weights from {found['weights_from']}"),
                    ("Layers", ", ".join(found["layers"])),
                    ("Input size", f"{found['input_size']} px"),
                    ("Nearest neighbours", found["num_neighbors"]),
                    ("Coreset ratio", percent(found["coreset_ratio"])),
                    ("Memory bank", f"{found['bank_size']} patch features"),
                    (
                        "Settings of the run",
                        json.dumps(content["inputs"]["config"], sort_keys=True, ensure_ascii=False),
                    ),
                ]
            ),
        ),
    )


def _hashes(content: dict[str, Any], record_sha256: str) -> Section:
    found, inputs = content["detector"], content["inputs"]
    return Section(
        "Hashes (sha256)",
        tables=(
            _pairs(
                [
                    ("This record", record_sha256),
                    ("Pictures, as a set", inputs["dataset"]),
                    ("Where each picture lay (frozen.json)", inputs["frozen_sha256"]),
                    ("Weights of the backbone", found["weights_digest"]),
                    ("Memory bank, as fingerprint", found["bank_id"]),
                    ("Memory bank, as file", found["bank_file_sha256"]),
                    ("Synthetic NG", inputs["synthesis_sha256"]),
                    ("Settings", inputs["config_sha256"]),
                    (f"Program, version {inputs['code']['version']}", inputs["code"]["sha256"]),
                ]
            ),
        ),
    )


def _limits() -> Section:
    return Section(
        "What the hash chain cannot do",
        text=(
            CANNOT_DO,
            "To check: cli.py verify RECORD, with the folder that was handed over. It works without a network.",
        ),
    )


def _pictures(content: dict[str, Any]) -> list[Section]:
    """All of them, a line each: hash, name and what is known of the part."""
    by_role: dict[str, list[dict[str, Any]]] = {}
    for image in content["inputs"]["images"]:
        by_role.setdefault(image["role"] or "no role", []).append(image)
    return [
        Section(
            f"Pictures in the role {shown(role).replace('_', ' ')}: {len(images)}",
            listing=tuple(
                " ".join(
                    part
                    for part in (
                        image["sha256"],
                        shown(image["name"]),
                        image["label"].upper(),
                        shown(image["kind"] or ""),
                        shown(image["session"] or ""),
                    )
                    if part
                )
                for image in images
            ),
        )
        for role, images in by_role.items()
    ]


def _pairs(rows: Sequence[tuple[str, Any]]) -> Table:
    return Table((), (0.24, 0.76), tuple((shown(name), shown(value)) for name, value in rows))
