"""Real NG that methods start from: which, what that costs, and that none of them ever verifies.

``SynthesisConfig.sources`` names them: sha256 -> where the defect is, see ``pages.services.ng_masks``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ias_core.errors import IasError
from ias_core.synthesis.base import NgSource
from pages.services import ng_masks
from pages.services.ledger import NG, OK, ImageRecord, Ledger
from pages.services.settings import RunConfig
from pages.services.workspace import Workspace

SEED = "generator_seed"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One real NG and what it costs to start from it.

    record : ImageRecord
    twins : tuple of ImageRecord       near twins of it, which go the same way
    verifying : int                    real NG that may verify now
    left : int                         as many that may after this one is taken
    why_not : str                      why it cannot be taken, "" where it can
    """

    record: ImageRecord
    twins: tuple[ImageRecord, ...]
    verifying: int
    left: int
    why_not: str

    @property
    def is_free(self) -> bool:
        """Whether it may still verify."""
        return self.left < self.verifying


def candidates(ws: Workspace, config: RunConfig) -> tuple[Candidate, ...]:
    """Every real NG of the dataset; those that cannot verify any more come first, as they cost nothing."""
    records = Ledger(ws).records()
    ng = [record for record in records if record.label == NG]
    sizes = _sizes(records)
    free = {record.sha256 for record in ng if record.role == "verification_ng"}
    of_group: dict[str, list[ImageRecord]] = {}
    for record in ng:
        of_group.setdefault(record.group, []).append(record)
    found = []
    for record in ng:
        group = of_group[record.group]
        spent = free & {one.sha256 for one in group}
        twins = tuple(one for one in group if one is not record)
        why_not = _why_not(record, twins, sizes, config)
        found.append(Candidate(record, twins, len(free), len(free) - len(spent), why_not))
    return tuple(sorted(found, key=lambda one: (one.is_free, one.record.name)))


def choose(ws: Workspace, config: RunConfig, sha256: str, mask_choice: str, *, by: str, why: str) -> RunConfig:
    """Start from this NG: it and its near twins become generator seeds, for good, and the settings name it.

    Parameters
    ----------
    sha256 : str
        Of an NG of the dataset; again, to give it another mask.
    mask_choice : str
        As ``pages.services.ng_masks`` names it.
    by, why : str
        For the ledger.

    Returns
    -------
    RunConfig
        For the caller to keep; the ledger has the role already.

    Raises
    ------
    IasError
        No such NG, another size than the good parts, a near twin among the sources, or a mask that is not there or
        marks nothing or everything. No role is changed then.
    """
    records = Ledger(ws).records()
    record = next((one for one in records if one.sha256 == sha256 and one.label == NG), None)
    if record is None:
        raise IasError(f"the NG {sha256[:12]} is not in the dataset: import it first")
    twins = [one for one in records if one.label == NG and one.group == record.group and one is not record]
    if why_not := _why_not(record, twins, _sizes(records), config):
        raise IasError(why_not)
    ng_masks.mask_at_size(ws, record, mask_choice, config.detector.input_size)
    new = [one.sha256 for one in (record, *twins) if one.role != SEED]
    Ledger(ws).assign(new, SEED, by=by, why=why)
    return _with_sources(config, config.synthesis.sources | {sha256: mask_choice})


def drop(config: RunConfig, sha256: str) -> RunConfig:
    """Settings that do not start from this NG. Its role stays in the ledger: what taught once can never verify."""
    return _with_sources(config, {one: mask for one, mask in config.synthesis.sources.items() if one != sha256})


def load_sources(ws: Workspace, config: RunConfig, size: int) -> tuple[NgSource, ...]:
    """The chosen NG with their masks, at ``size`` px, by sha256: their order is the settings', however it was made.

    Raises
    ------
    IasError
        One of them is not in the dataset, was never made a generator seed, is of another size than the good parts, or
        its file or mask is gone, changed or empty.
    """
    records = Ledger(ws).records()
    known = {record.sha256: record for record in records if record.label == NG}
    sizes = _sizes(records)
    found = []
    for sha256, choice in sorted(config.synthesis.sources.items()):
        if sha256 not in known:
            raise IasError(f"the NG {sha256[:12]} that methods start from is not in the dataset: import it, or drop it")
        record = known[sha256]
        if SEED not in {entry.role for entry in Ledger(ws).history(sha256)}:
            raise IasError(
                f"{record.name} is no generator seed in the ledger, so no method can start from it: choose it as a "
                "source first"
            )
        if why_not := _other_size(record, sizes):
            raise IasError(why_not)
        found.append(ng_masks.source_of(record, ng_masks.mask_at_size(ws, record, choice, size)))
    return tuple(found)


def _with_sources(config: RunConfig, sources: dict[str, str]) -> RunConfig:
    return replace(config, synthesis=replace(config.synthesis, sources=sources))


def _why_not(record: ImageRecord, twins: Sequence[ImageRecord], of_ok: set[tuple[int, int]], config: RunConfig) -> str:
    for twin in twins:
        if twin.sha256 in config.synthesis.sources:
            return f"{record.name} is a near twin of {twin.name}, a source already: one part would count as two"
    return _other_size(record, of_ok)


def _sizes(records: Sequence[ImageRecord]) -> set[tuple[int, int]]:
    return {(record.width, record.height) for record in records if record.label == OK}


def _other_size(record: ImageRecord, of_ok: set[tuple[int, int]]) -> str:
    """The camera's scale is known by the size of its pictures alone, so it has to be one of those of good parts."""
    if (record.width, record.height) in of_ok:
        return ""
    sizes = sorted(of_ok)
    listed = ", ".join(f"{width} x {height}" for width, height in sizes[:3]) + (", ..." if len(sizes) > 3 else "")
    return (
        f"{record.name} is {record.width} x {record.height} px and the good parts are {listed} px: its defect would "
        "change its size on them; take a picture with the same camera and crop"
    )
