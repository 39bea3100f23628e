"""``record.json``: the chain as a file that can be checked anywhere, without the app and without a network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ias_core.errors import IasError
from pages.services import chain, records
from pages.services.chain import Entry

NAME = "record.json"


@dataclass(frozen=True, slots=True)
class RecordFile:
    """A record that fits in itself: every hash is that of its content, and every entry follows the one before.

    path : Path             of record.json; what else was handed over lies beside it
    entries : the chain, oldest first
    signed : the content that was handed over, with signatures and documents
    """

    path: Path
    entries: tuple[Entry, ...]
    signed: records.Signed

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def content(self) -> dict[str, Any]:
        return self.signed.content

    @property
    def signatures(self) -> tuple[dict[str, Any], ...]:
        """Bodies of the signatures, each with its "sha256"."""
        return tuple(entry.body | {"sha256": entry.sha256} for entry in self.signed.signatures)

    @property
    def sha256(self) -> str:
        """The record hash, as it is printed on what was handed over."""
        return self.signed.sha256


def text_of(entries: Sequence[Entry]) -> str:
    """What ``record.json`` holds: canonical, so that every byte of it counts."""
    return chain.canonical(
        {"schema": chain.SCHEMA, "entries": [{"sha256": one.sha256, "body": one.body} for one in entries]}
    )


def read_record(path: Path) -> RecordFile:
    """Read and check a record.

    Raises
    ------
    IasError
        It is not there, or the first thing in it that does not fit.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise IasError(f"expected a record at {path}, it could not be read ({error.strerror})") from error
    entries = _parsed(data, path.name)
    if broken := chain.first_break(entries):
        raise IasError(f"{path.name}: {broken}")
    try:
        signed = records.handed_over(entries)
    except (KeyError, TypeError):  # every hash fits, but this product never wrote it
        raise IasError(f"{path.name} is no record of this product: an entry lacks what its kind has") from None
    if signed is None or not signed.signatures:
        raise IasError(f"{path.name} does not end with a record that was handed over: sign, and write it again")
    return RecordFile(path, entries, signed)


def _parsed(data: bytes, name: str) -> tuple[Entry, ...]:
    try:
        values = json.loads(data)
        schema = values["schema"]
        entries = tuple(Entry(one["sha256"], one["body"]) for one in values["entries"])
        kinds = all(isinstance(one.sha256, str) and isinstance(one.body, dict) for one in entries)
        same = text_of(entries).encode() == data
    except (ValueError, KeyError, TypeError, RecursionError):  # no UTF-8, no JSON, not these keys, NaN
        raise IasError(f"{name} was changed, or is no record: expected the JSON that this product writes") from None
    if not kinds or schema != chain.SCHEMA or not same:
        raise IasError(f"{name} was changed: it is not, byte for byte, the text that its entries give")
    return entries
