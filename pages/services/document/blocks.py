"""The pieces of a record's first page, each as it is shown: texts only, already cut to their place."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Banner:
    """What nobody may overlook. ``stops``: not to be used for release as it is."""

    head: str
    text: str
    stops: bool


@dataclass(frozen=True, slots=True)
class Count:
    """One of the three counts.

    key  : of ``STYLES``: "ok", "synthetic", "real"
    head : "2 of 147", or that there is none
    """

    key: str
    head: str
    label: str
    bound: str
    note: str


@dataclass(frozen=True, slots=True)
class Thumb:
    """A mistake as a picture with its map, both base64 of a JPEG, "" where the record holds none."""

    file: str
    score: str
    picture: str
    map: str


@dataclass(frozen=True, slots=True)
class Mistakes:
    """Parts on the wrong side of the threshold, worst first. ``none``: what to say where there is none."""

    title: str
    thumbs: tuple[Thumb, ...]
    more: str
    none: str


@dataclass(frozen=True, slots=True)
class ModeRow:
    """A failure mode and its evidence: "none", "synthetic" or "real"."""

    mode: str
    severity: str
    evidence: str
    real: str
    synthetic: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A short list with its heading."""

    title: str
    items: tuple[str, ...]
    more: str


@dataclass(frozen=True, slots=True)
class SignatureRow:
    """A signature, or the place of one that is missing."""

    meaning: str
    name: str
    identity: str
    at: str
    reason: str
    missing: bool


@dataclass(frozen=True, slots=True)
class FirstPage:
    """Everything on the A4 page that is looked at in the meeting, in its order."""

    title: str
    banners: tuple[Banner, ...]
    part: str
    place: str
    proposed_release: str
    threshold: str
    threshold_is: str
    review_is: str
    class_head: str
    class_text: str
    counts: tuple[Count, ...]
    mistakes: tuple[Mistakes, ...]
    map_scale: str
    coverage_title: str
    coverage: tuple[ModeRow, ...]
    coverage_more: str
    conditions: tuple[Listed, ...]
    signatures: tuple[SignatureRow, ...]
    signatures_more: str
    sha256: str
    keep_the_hash: str
    status: str
