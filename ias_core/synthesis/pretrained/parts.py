"""What lies in a folder of diffusion weights, read from its JSON files and safetensors headers; no tensor is loaded.

Only safetensors files count. A pickle (.bin, .ckpt, .pt) may run any program when it is opened, and torch's
``weights_only`` guard was got round before (CVE-2025-32434); besides, nothing about it can be told without opening it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

PICKLES = (".bin", ".ckpt", ".pt", ".pth")
_DIFFUSERS, _TRANSFORMERS = "diffusion_pytorch_model", "model"
_HALF = "fp16"
_LFS = b"version https://git-lfs.github.com"
WHY_NO_PICKLE = "a pickle, which may run any program when it is opened; only safetensors files are loaded"


@dataclass(frozen=True, slots=True, eq=False)
class Tensors:
    """Headers of some safetensors files: name -> shape, and the bytes they take on disk."""

    shapes: dict[str, tuple[int, ...]]
    bytes: int
    dtypes: frozenset[str]

    @property
    def parameters(self) -> int:
        return sum(prod(shape) for shape in self.shapes.values())

    @property
    def largest(self) -> int:
        """Values in the largest tensor."""
        return max((prod(shape) for shape in self.shapes.values()), default=0)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One sub-folder of a model.

    name : str                  of the sub-folder
    config : dict               its config.json; of a tokenizer or a scheduler, theirs
    files : tuple of Path       what is loaded: weights, or the files of a tokenizer or a scheduler
    tensors : Tensors           empty where it has no weights
    variant : str               "fp16" where only weights stored in half precision are there, else ""
    variants : tuple of str     those that are there: of "", "fp16"
    """

    name: str
    config: dict[str, Any]
    files: tuple[Path, ...]
    tensors: Tensors = field(default_factory=lambda: Tensors({}, 0, frozenset()))
    variant: str = ""
    variants: tuple[str, ...] = ()


class Broken(Exception):
    """One thing is wrong with one file or sub-folder; the text is the sentence about it."""


def read_json(path: Path) -> dict[str, Any]:
    """Names and values in a JSON file.

    Raises
    ------
    Broken
        It cannot be read, or holds something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Broken(f"{named(path)} could not be read ({error}): copy it again") from error
    if not isinstance(values, dict):
        raise Broken(f"{named(path)} holds {type(values).__name__} instead of names and values: copy it again")
    return values


def read_headers(files: tuple[Path, ...]) -> Tensors:
    """Shapes of all tensors in some safetensors files; the reader also checks that no file is cut off.

    Raises
    ------
    Broken
        One of them is no whole safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    shapes, dtypes, size = {}, set(), 0
    for path in files:
        try:
            size += path.stat().st_size
            with safe_open(path, framework="numpy") as file:
                for key in file.keys():  # noqa: SIM118  (no mapping: it has no iterator)
                    tensor = file.get_slice(key)
                    shapes[key] = tuple(tensor.get_shape())
                    dtypes.add(str(tensor.get_dtype()))
        except (OSError, SafetensorError) as error:
            if _is_pointer(path):
                raise Broken(
                    f"{named(path)} is only a pointer that git left behind: run `git lfs pull` where it came from"
                ) from error
            raise Broken(f"{named(path)} is no whole safetensors file ({error}): copy it again") from error
    return Tensors(shapes, size, frozenset(dtypes))


def weight_files(folder: Path, stem: str, variant: str = "") -> tuple[Path, ...]:
    """The safetensors files of a sub-folder, whole or in shards; empty where there are none.

    Raises
    ------
    Broken
        Some of its shards are not there.
    """
    dotted = f".{variant}" if variant else ""
    whole = folder / f"{stem}{dotted}.safetensors"
    if whole.is_file():
        return (whole,)
    index = folder / f"{stem}.safetensors.index{dotted}.json"
    if not index.is_file():
        return ()
    names = sorted(set(map(str, read_json(index).get("weight_map", {}).values())))
    absent = [name for name in names if not (folder / name).is_file()]
    if absent or not names:
        raise Broken(
            f"the sub-folder {folder.name} lacks {len(absent)} of {len(names)} files that {index.name} names"
            + (f", first {absent[0]}" if absent else "")
            + ": copy it again"
        )
    return tuple(folder / name for name in names)


def network_part(folder: Path) -> Part:
    """A sub-folder with a network in it.

    Raises
    ------
    Broken
        It is not there, has no configuration, no safetensors weights, or broken ones.
    """
    name = folder.name
    if not folder.is_dir():
        raise Broken(f"the sub-folder {name} is missing")
    if not (folder / "config.json").is_file():
        raise Broken(f"the sub-folder {name} has no config.json")
    config = read_json(folder / "config.json")
    stem = _DIFFUSERS if "_class_name" in config else _TRANSFORMERS
    sets = {variant: weight_files(folder, stem, variant) for variant in ("", _HALF)}
    variants = tuple(variant for variant, files in sets.items() if files)
    if not variants:
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
        if pickles:
            raise Broken(f"the sub-folder {name} holds only {pickles[0]}: {WHY_NO_PICKLE}")
        raise Broken(f"the sub-folder {name} has no weights file: expected {stem}.safetensors")
    files = sets[variants[0]]
    return Part(name, config, files, read_headers(files), variants[0], variants)


def tokenizer_part(folder: Path) -> Part:
    """A tokenizer: either tokenizer.json, or vocab.json with merges.txt. Raises Broken if neither is whole."""
    ways = (("tokenizer.json",), ("vocab.json", "merges.txt"))
    found = next((way for way in ways if all((folder / name).is_file() for name in way)), None)
    if found is None:
        raise Broken(
            f"the sub-folder {folder.name} has no tokenizer: expected vocab.json and merges.txt, or tokenizer.json"
        )
    about = folder / "tokenizer_config.json"
    config = read_json(about) if about.is_file() else {}
    return Part(folder.name, config, tuple(folder / name for name in found))


def scheduler_part(folder: Path) -> Part:
    """A noise schedule. Raises Broken if it is not there."""
    path = folder / "scheduler_config.json"
    if not path.is_file():
        raise Broken(f"the sub-folder {folder.name} has no scheduler_config.json")
    return Part(folder.name, read_json(path), (path,))


def sentence(text: object) -> str:
    """With a capital letter and a full stop; a file's name in front stays as it is.

    Examples
    --------
    >>> sentence("the sub-folder vae is missing"), sentence("vae/config.json is cut off")
    ('The sub-folder vae is missing.', 'vae/config.json is cut off.')
    """
    text = str(text)
    first = text.partition(" ")[0]
    return f"{text if '.' in first or '/' in first else text[:1].upper() + text[1:]}."


def named(path: Path) -> str:
    """A file by the end of its path, as a user knows it.

    Examples
    --------
    >>> named(Path("/models/sd15/vae/config.json"))
    'vae/config.json'
    """
    return "/".join(path.parts[-2:])


def _is_pointer(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_LFS)) == _LFS
    except OSError:
        return False
