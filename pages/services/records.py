"""Signed records: what was decided and on what evidence (the content), who stands for it, what was handed over.

In the style of 21 CFR Part 11 (printed name, time, meaning of each signature, audit trail); no claim of compliance.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ias_core.errors import IasError
from pages.services import chain
from pages.services.chain import Entry
from pages.services.workspace import Workspace

MEANINGS = ("calibrated", "reviewed", "approved")  # in this order
TYPED, OIDC = "typed, unverified", "OpenID Connect"
CONTENT, SIGNATURE, DOCUMENT = "content", "signature", "document"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signs. ``how``: TYPED, checked by nobody, or OIDC, with issuer, subject and e-mail from the provider."""

    name: str
    how: str = TYPED
    issuer: str = ""
    subject: str = ""
    email: str = ""

    @property
    def person(self) -> str:
        """The same for the same person, as far as can be told."""
        typed = " ".join(unicodedata.normalize("NFKC", self.name).casefold().split())
        return f"{self.issuer} {self.subject}" if self.how == OIDC else typed


@dataclass(frozen=True, slots=True)
class Signed:
    """The newest content that was signed, with its signatures.

    content_sha256 : of its entry
    signatures : entries of kind SIGNATURE, oldest first
    documents : entries of kind DOCUMENT that show it
    """

    content: dict[str, Any]
    content_sha256: str
    signatures: tuple[Entry, ...]
    documents: tuple[Entry, ...]

    @property
    def key(self) -> str:
        """sha256 of the content itself, whatever came before it in the chain."""
        return chain.sha256_of(self.content)

    @property
    def meanings(self) -> tuple[str, ...]:
        """What it was signed as so far, in order."""
        given = {entry.body["meaning"] for entry in self.signatures}
        return tuple(meaning for meaning in MEANINGS if meaning in given)

    @property
    def approved(self) -> bool:
        return "approved" in self.meanings

    @property
    def sha256(self) -> str:
        """The record hash: of the newest signature, which through the chain fixes all before it."""
        return self.signatures[-1].sha256


def sign(
    ws: Workspace,
    *,
    identity: Identity,
    meaning: str,
    reason: str,
    content: dict[str, Any],
    head: str,
    now: str,
    role: str = "",
) -> Entry:
    """Append a signature under ``content``, and the content before it where it is new.

    Parameters
    ----------
    content : dict
        JSON-ready, as ``pages.services.release.content_of`` gives it: what the person sees.
    head : str
        sha256 of the last entry when the person saw it, "" for none.
    now : str
        ISO time.
    role : str
        Of the person, as the identity provider or its table has it; "" for none.

    Raises
    ------
    IasError
        Empty name or reason, unknown meaning, an entry that came after ``head``, a meaning out of order or given
        twice by one person, or approval by a person who calibrated it. Nothing is signed then.
    """
    if not identity.name.strip() or not reason.strip():
        raise IasError("a signature needs a name and a reason: fill in both")
    if meaning not in MEANINGS:
        raise IasError(f"expected one of {', '.join(MEANINGS)}, got {meaning!r}")
    with ws.transaction(durable=True) as db:
        entries = chain.read(db)
        if (entries[-1].sha256 if entries else "") != head:
            raise IasError(
                "somebody else signed since this page was drawn: look at the newest record, then sign if it still holds"
            )
        signed = newest(entries)
        if signed is None or chain.sha256_of(signed.content) != chain.sha256_of(content):
            if meaning != MEANINGS[0]:
                raise IasError(
                    f"what is shown was not signed as {MEANINGS[0]} yet: the person who set the threshold signs first"
                )
            entries = (*entries, chain.append(db, entries, {"kind": CONTENT, "content": content}))
            signed = newest(entries)
            assert signed is not None
        _check_order(signed, identity, meaning)
        body = {
            "kind": SIGNATURE,
            "content": signed.content_sha256,
            "signed_by": identity.name.strip(),
            "identity": {key: value for key, value in asdict(identity).items() if key != "name"},
            "role": role,
            "meaning": meaning,
            "reason": reason.strip(),
            "at": now,
        }
        return chain.append(db, entries, body)


def _check_order(signed: Signed, identity: Identity, meaning: str) -> None:
    before = MEANINGS[: MEANINGS.index(meaning)]
    if missing := [one for one in before if one not in signed.meanings]:
        raise IasError(f"it was not signed as {missing[0]} yet: the order is {', '.join(MEANINGS)}")
    given = {(_person(entry), entry.body["meaning"]) for entry in signed.signatures}
    if (identity.person, meaning) in given:
        raise IasError(f"{identity.name.strip()} has signed this as {meaning} already: nothing more is needed")
    if meaning == MEANINGS[-1] and (identity.person, MEANINGS[0]) in given:
        raise IasError(
            f"{identity.name.strip()} calibrated it, and approval is a second person's: let another one sign"
        )


def _person(entry: Entry) -> str:
    return Identity(name=entry.body["signed_by"], **entry.body["identity"]).person


def add_document(ws: Workspace, files: dict[str, str], *, of: str, now: str) -> tuple[Entry, ...]:
    """Note the sha256 of files that show the record whose newest signature is ``of``; once for the same files.

    Returns
    -------
    tuple of Entry
        The chain up to this note: what came later says nothing about these files.

    Raises
    ------
    IasError
        ``of`` is no signature of this chain.
    """
    with ws.transaction(durable=True) as db:
        entries = chain.read(db)
        if of not in {entry.sha256 for entry in entries if entry.body.get("kind") == SIGNATURE}:
            raise IasError("expected a record of this workspace: sign first, then hand it over")
        for number, entry in enumerate(entries, start=1):
            if entry.body.get("of") == of and entry.body.get("files") == files:
                return entries[:number]
        return (*entries, chain.append(db, entries, {"kind": DOCUMENT, "files": files, "of": of, "at": now}))


def entries_of(ws: Workspace) -> tuple[Entry, ...]:
    """The whole chain, oldest first."""
    with ws.transaction() as db:
        return chain.read(db)


def newest(entries: Sequence[Entry]) -> Signed | None:
    """The newest content of a chain, or None where nothing was signed."""
    return next(_newest_first(entries), None)


def newest_approved(entries: Sequence[Entry]) -> Signed | None:
    """The newest content that was approved: what the line may have, whatever was begun since."""
    return next((one for one in _newest_first(entries) if one.approved), None)


def handed_over(entries: Sequence[Entry]) -> Signed | None:
    """What a chain that was handed over is about: its last entry notes the files that show it."""
    if not entries or entries[-1].body.get("kind") != DOCUMENT:
        return None
    return next((one for one in _newest_first(entries) if entries[-1] in one.documents), None)


def _newest_first(entries: Sequence[Entry]) -> Iterator[Signed]:
    for content in reversed(entries):
        if content.body.get("kind") != CONTENT:
            continue
        signatures = tuple(
            one for one in entries if one.body.get("kind") == SIGNATURE and one.body["content"] == content.sha256
        )
        shown = {one.sha256 for one in signatures}
        documents = tuple(one for one in entries if one.body.get("kind") == DOCUMENT and one.body["of"] in shown)
        yield Signed(content.body["content"], content.sha256, signatures, documents)
