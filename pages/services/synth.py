"""A folder of good parts to a folder of synthetic NG, without a detector: what ``cli.py synth`` runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ias_core.errors import IasError, ImageRefused
from ias_core.folders import FoundFile
from ias_core.foreground import find_part
from ias_core.imaging import MIN_SIDE_PX, load_image, resize_image
from ias_core.peak_memory import PeakMemory
from pages.services import dataset
from pages.services.kit import Kit, one_shot_options
from pages.services.made import MOST_PARENTS, facts_of, make, method_class, method_names, texture_source
from pages.services.progress import Progress
from pages.services.settings import OneShotConfig, SynthesisConfig
from pages.services.synth_ng import FromNg, pixel_model, start_from

ALL = "all"
_MAX_SIDE_PX, _MOST_PER_METHOD = 1024, 2000


@dataclass(frozen=True, slots=True)
class Synthesised:
    """What became of it.

    n_parents : OK pictures that defects were made on
    made : method -> number of pictures
    failed : method -> why it could make none
    refused : file -> why it could not be read
    """

    n_parents: int
    made: dict[str, int]
    failed: dict[str, str]
    refused: dict[str, str]
    manifest: Path


def make_dataset(
    good: Sequence[FoundFile],
    out: Path,
    *,
    methods: Sequence[str],
    count: int,
    seed: int,
    size: int,
    dials: dict[str, float],
    textures: Path | None,
    foreground: str,
    progress: Progress,
    ng: FromNg | None = None,
    minutes: float = 5.0,
) -> Synthesised:
    """Every asked method's NG pictures, masks and contact sheet, and one manifest, in ``out``.

    Parameters
    ----------
    good : sequence of FoundFile
        Good parts; at most 60 of them are drawn on, picked at random.
    methods : sequence of str
        Registered names; "all" for every one that needs nothing but good parts and, where there is one, the NG.
    size : int
        Side of the pictures, in px; other shapes are squeezed into a square, as the detector sees them.
    dials : dict
        "severity" in [0, 1] and "size_px" (equivalent diameter), for every method; a method without a size of its own
        keeps the published one. What is left out is drawn as published.
    textures : Path, optional
        Folder of the user's textures.
    foreground : str
        "none", or "found": defects stay on the part that is found in each picture.
    ng : FromNg, optional
        A real NG, for methods that start from one.
    minutes : float
        Of training the pixel model, where one is needed; half of the good parts teach it and get no defects.

    Raises
    ------
    IasError
        No readable good part, an unknown method, or no method that could make anything.
    """
    known = method_names(("sources",) if ng else ())
    asked = known if ALL in methods else tuple(dict.fromkeys(methods))
    for name in asked:
        method_class(name)  # an unknown one stops before anything is written
    if not MIN_SIDE_PX <= size <= _MAX_SIDE_PX:
        raise IasError(f"expected pictures of {MIN_SIDE_PX} to {_MAX_SIDE_PX} px a side, got {size}")
    if not 1 <= count <= _MOST_PER_METHOD:
        raise IasError(f"expected 1 to {_MOST_PER_METHOD} pictures per method, got {count}")
    needs = {need for name in asked for need in method_class(name).needs}
    if "backend" in needs:
        over = ", ".join(name for name in asked if "backend" in method_class(name).needs)
        raise IasError(f"{over} needs diffusion weights, which are named and trained in the app: run it there")
    if "sources" in needs and ng is None:
        raise IasError("expected a real NG for methods that start from one: name its picture with --ng")
    config = _config(known, dials)
    start = start_from(good, ng, size, seed, progress) if ng and "sources" in needs else None
    canvases = good if start is None or start.canvases is None else [f for f in good if f.path in start.canvases]
    parents, refused = _read(canvases, size, seed, progress)
    pictures = np.stack([picture for _, picture in parents])
    options, given = (ng.options, {"sources": (start.source,)}) if ng and start else (OneShotConfig(), {})
    if options.softness or "model" in needs:
        taught, (parents, pictures) = pictures[::2], (parents[1::2], pictures[1::2])  # canvases that it never saw
        given["model"] = pixel_model(taught, pictures, out, seed=seed, minutes=minutes, progress=progress)
    kit = Kit(one_shot_options(options) | given)
    source = texture_source(str(textures) if textures else "")
    parts = np.stack([find_part(picture).mask for picture in pictures]) if foreground == "found" else None
    made: dict[str, int] = {}
    failed: dict[str, str] = {}

    def sets() -> Iterator[dataset.MethodSet]:
        for k, name in enumerate(asked):
            progress("synthetic NG", k, len(asked), f"making {name}")
            began = time.perf_counter()
            try:
                with PeakMemory() as peak:
                    defects = make(
                        name, pictures, config, count=count, seed=seed, foregrounds=parts, textures=source, kit=kit
                    )
            except IasError as error:
                failed[name] = str(error)
                continue
            seconds = time.perf_counter() - began
            facts = facts_of(defects, pictures)
            facts["parent_names"] = [parents[int(p)][0] for p in defects.parents]
            made[name] = len(defects.images)
            about = {
                "seconds": round(seconds, 3),
                "peak_memory_bytes": peak.bytes,
                "made_with": kit.made_with(name),
                "severity_asked": config.severity.get(name),  # null: drawn as published
                "size_px_asked": config.size_px.get(name),
            }
            yield dataset.MethodSet(name, defects.images, defects.masks, dataset.rows_of(facts), about)
        if not made:
            raise IasError(f"no method could make a visible defect; {next(iter(failed.values()))}")

    about = {
        "seed": seed,
        "side_px": size,
        "n_parents": len(parents),
        "textures": source.name if source else "made here",
        "foreground": foreground,
        "ng": {"file": ng.picture.name, "mask": start.mask, **asdict(options)} if ng and start else None,
        "failed": failed,  # filled while the sets are made; the manifest is written last
    }
    manifest = dataset.write_tree(out, sets(), about)
    return Synthesised(len(parents), made, failed, refused, manifest)


def _config(names: Sequence[str], dials: dict[str, float]) -> SynthesisConfig:
    """The dials for every method that has them; the graded one too, which is an ordinary method here."""
    severity, size_px = dials.get("severity"), dials.get("size_px")
    return SynthesisConfig(
        graded="",
        severity={} if severity is None else dict.fromkeys(names, severity),
        size_px={} if size_px is None else {name: size_px for name in names if method_class(name).has_size},
    )


def _read(
    found: Sequence[FoundFile], size: int, seed: int, progress: Progress
) -> tuple[list[tuple[str, np.ndarray]], dict[str, str]]:
    """At most 60 readable pictures in random order, with their names; and what was refused."""
    parents, refused = [], {}
    for i in np.random.default_rng(seed).permutation(len(found)):
        if len(parents) == MOST_PARENTS:
            break
        progress("read", len(parents), min(len(found), MOST_PARENTS), "reading good parts")
        try:
            parents.append((found[i].name, resize_image(load_image(found[i].path), size)))
        except ImageRefused as error:
            refused[found[i].name] = str(error)
    if not parents:
        why = f": {next(iter(refused.values()))}" if refused else ""
        raise IasError(f"expected at least one readable picture of a good part, found none{why}")
    return parents, refused
