"""What diffusion weights a folder, a file or a hub id stands for: recognised and checked before anything is loaded.

Reads JSON files and safetensors headers only, so it takes milliseconds and needs neither torch nor diffusers. Layouts
are those of diffusers 0.42 (``DiffusionPipeline.save_pretrained``). Nothing is fetched: of a hub id, only what lies in
this machine's cache counts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ias_core.errors import WeightsUnavailable
from ias_core.synthesis.pretrained.fits import KINDS, misfits
from ias_core.synthesis.pretrained.parts import (
    PICKLES,
    WHY_NO_PICKLE,
    Broken,
    Part,
    network_part,
    read_json,
    scheduler_part,
    sentence,
    tokenizer_part,
)
from ias_core.synthesis.pretrained.single_files import recognise_file

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_VERSIONS = {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x", 2048: "Stable Diffusion XL"}
_OTHERS = {"paint-by-example": "Paint by Example", "ddpm": "a diffusion model of pixels, without prompt"}
_CHUNK = 1 << 22
_READERS: dict[str, Callable[[Path], Part]] = {
    "scheduler": scheduler_part,
    "tokenizer": tokenizer_part,
    "tokenizer_2": tokenizer_part,
}
PARTS = {
    "sd": ("unet", "vae", "text_encoder", "tokenizer", "scheduler"),
    "sdxl": ("unet", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler"),
    "paint-by-example": ("unet", "vae", "image_encoder", "scheduler"),
    "ddpm": ("unet", "scheduler"),
}
LAYOUT = """\
my-weights/
├── model_index.json
├── unet/            config.json   diffusion_pytorch_model.safetensors
├── vae/             config.json   diffusion_pytorch_model.safetensors
├── text_encoder/    config.json   model.safetensors
├── tokenizer/       vocab.json   merges.txt   tokenizer_config.json
└── scheduler/       scheduler_config.json"""


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """What a place holds.

    place : str                what the user gave
    folder : Path              where it lies; of a file, the folder around it
    family : str               "sd", "sdxl", "paint-by-example", "ddpm" (pixels, no prompt), "controlnet", "ip-adapter"
                               or "unknown"
    kind : str                 of a model: "text-to-image" (U-Net with 4 channels), "inpainting" (9) or "unconditional"
                               (3), else ""
    version : str              what it is in words, as far as its shapes tell: 1.4 and 1.5 look alike
    channels : int             of the U-Net's input; 0 where there is none
    parts : tuple of Part      those that are whole
    problems : tuple of str    one sentence each, what is missing or wrong, by name; empty: it can be loaded
    notes : tuple of str       one sentence each, what is worth knowing
    text_width : int           width of the text embedding it takes: 768, 1,024, 2,048; 0 where it takes none
    side_px : int              side of the pictures it was trained for; 0 where it has none of its own
    command : str              what to run elsewhere to make it usable, or ""
    """

    place: str
    folder: Path
    family: str = "unknown"
    kind: str = ""
    version: str = ""
    channels: int = 0
    parts: tuple[Part, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    text_width: int = 0
    side_px: int = 0
    command: str = ""

    def part(self, name: str) -> Part | None:
        return next((part for part in self.parts if part.name == name), None)

    @property
    def is_model(self) -> bool:
        """Whether methods can run on it; ControlNet and IP-Adapter only add to a model."""
        return self.family in PARTS

    @property
    def parameters(self) -> int:
        return sum(part.tensors.parameters for part in self.parts)

    @property
    def disk_bytes(self) -> int:
        return sum(part.tensors.bytes for part in self.parts)

    @property
    def vae_overflows(self) -> bool:
        """Whether float16 is too narrow for its autoencoder.

        SDXL's says so with ``force_upcast``. In other families diffusers writes that key without a meaning.
        """
        vae = self.part("vae")
        return self.family == "sdxl" and vae is not None and bool(vae.config.get("force_upcast", True))


def recognise(place: str) -> Weights:
    """What lies at a folder or file of this machine, or in its cache under a hub id.

    Raises
    ------
    WeightsUnavailable
        There is nothing at that place. What is there and cannot be used is returned, with ``problems``.
    """
    place = place.strip()
    if not place:
        raise WeightsUnavailable("expected a folder or a hub id, got an empty text")
    path = Path(place).expanduser()
    if path.is_file():
        return Weights(place, path.parent, **recognise_file(path))
    if not path.is_dir():
        path = _cached(place)
    try:
        return _recognise_folder(place, path)
    except Broken as broken:
        return Weights(place, path, problems=(sentence(broken),))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:  # JSON files that anybody may write
        return Weights(place, path, problems=(f"The config.json files there are not diffusers' own ({error!r}).",))


def _cached(hub_id: str) -> Path:
    """Folder of a hub id in this machine's cache; the hub is never asked."""
    if not _HUB_ID.fullmatch(hub_id):
        raise WeightsUnavailable(f"there is no folder and no file at {hub_id}: check the path on the app's machine")
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        raise WeightsUnavailable(
            f"{hub_id} is neither a folder here nor in this machine's hub cache ({constants.HF_HUB_CACHE}), and "
            f"nothing is fetched: run `hf download {hub_id} --local-dir FOLDER` where there is a network, and copy "
            "FOLDER to this machine"
        ) from None


def _recognise_folder(place: str, folder: Path) -> Weights:
    if (folder / "model_index.json").is_file() or (folder / "unet").is_dir():
        return _recognise_model(place, folder)
    if (folder / "config.json").is_file():
        return _recognise_network(place, folder)
    tensors = sorted(folder.glob("*.safetensors"))
    if len(tensors) == 1:
        return Weights(place, folder, **recognise_file(tensors[0]))
    tensors = tensors or sorted(folder.glob("*/ip-adapter*.safetensors"))
    if tensors:
        names = ", ".join(str(path.relative_to(folder)) for path in tensors[:5])
        raise Broken(f"there are {len(tensors)} weights files to choose from ({names}): give the path of one of them")
    inside = sorted(path.name for path in folder.iterdir() if (path / "model_index.json").is_file())
    if inside:
        raise Broken(f"the model lies in its sub-folder {inside[0]}: give {folder / inside[0]}")
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if pickles:
        raise Broken(f"the folder holds only {pickles[0]}: {WHY_NO_PICKLE}")
    raise Broken("the folder holds no diffusion weights: expected model_index.json and the sub-folders unet, vae, ...")


def _recognise_network(place: str, folder: Path) -> Weights:
    """A folder with one network: a ControlNet, or a part of a model."""
    name = read_json(folder / "config.json").get("_class_name", "")
    if name != "ControlNetModel":
        raise Broken(
            f"the folder holds one network ({name or 'of an unknown kind'}) and no model: give the folder above it, "
            "in which unet, vae and text_encoder lie"
        )
    part = replace(network_part(folder), name="controlnet")
    width = _text_width(part)
    version = f"ControlNet for {_VERSIONS.get(width, f'a text width of {width}')}"
    return Weights(place, folder, "controlnet", version=version, parts=(part,), text_width=width)


def _recognise_model(place: str, folder: Path) -> Weights:
    index, notes = folder / "model_index.json", []
    pipeline = read_json(index).get("_class_name", "") if index.is_file() else ""
    if not index.is_file():
        notes.append("model_index.json is missing; the parts are told by the names of their sub-folders.")
    if not (folder / "unet").is_dir() and (folder / "transformer").is_dir():
        raise Broken(
            f"these are weights of {pipeline or 'a transformer'}: the methods here need Stable Diffusion 1, 2 or XL"
        )
    family = "sd"
    if pipeline == "PaintByExamplePipeline":
        family = "paint-by-example"
    elif (folder / "text_encoder_2").is_dir() or "XL" in pipeline:
        family = "sdxl"
    elif pipeline == "DDPMPipeline" or _class_of(folder / "unet") == "UNet2DModel":
        family = "ddpm"
    parts, problems = [], []
    for name in PARTS[family]:
        try:
            parts.append(_READERS.get(name, network_part)(folder / name))
        except Broken as broken:
            problems.append(sentence(broken))
    found = Weights(place, folder, family, parts=tuple(parts))
    unet = found.part("unet")
    if unet is None:
        return replace(
            found, problems=tuple(problems), notes=tuple(notes), version="Stable Diffusion without its U-Net"
        )
    channels, width = int(unet.config.get("in_channels", 0)), _text_width(unet)
    side, told = _side_px(found)
    halves = [part.name for part in parts if part.variant]
    if halves:
        notes.append(f"Stored in half precision only: {', '.join(halves)}.")
    version = _VERSIONS.get(width, f"Stable Diffusion with a text width of {width}")
    version = _OTHERS.get(family, f"{version} inpainting" if channels == 9 else version)
    return replace(
        found,
        kind=KINDS.get(channels, ""),
        version=version,
        channels=channels,
        problems=(*problems, *misfits(found, channels, width)),
        notes=(*notes, *told),
        text_width=width,
        side_px=side,
    )


def _class_of(folder: Path) -> str:
    about = folder / "config.json"
    return str(read_json(about).get("_class_name", "")) if about.is_file() else ""


def _text_width(part: Part) -> int:
    width = part.config.get("cross_attention_dim", 0)
    return int(width[0] if isinstance(width, list) else width or 0)


def _side_px(found: Weights) -> tuple[int, list[str]]:
    """Side of the training pictures: that of the latents times the VAE's cell."""
    cells, vae = found.part("unet").config.get("sample_size"), found.part("vae")
    if vae is None and found.family != "ddpm":
        return 0, []
    if isinstance(cells, int) and cells > 0:
        return cells * (1 if vae is None else 2 ** (len(vae.config["block_out_channels"]) - 1)), []
    side = 1024 if found.family == "sdxl" else 512
    return side, [f"unet/config.json does not tell for which size it was trained: {side} px is assumed."]


def digest_of(*weights: Weights, known: dict[tuple[str, int, int], str] | None = None) -> str:
    """sha256 over all files that loading these reads: what a manifest names.

    Parameters
    ----------
    known : dict, optional
        (path, size, time of change in ns) -> sha256 of that file; read and added to, so that a caller who keeps it
        hashes gigabytes once.
    """
    known = {} if known is None else known
    whole = hashlib.sha256()
    for one in weights:
        for part in one.parts:
            for path in part.files:
                about = path.stat()
                key = (str(path), about.st_size, about.st_mtime_ns)
                if key not in known:
                    known[key] = _sha256(path)
                whole.update(f"{part.name}/{path.name} {known[key]}\n".encode())
    return whole.hexdigest()


def _sha256(path: Path) -> str:
    content = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            content.update(chunk)
    return content.hexdigest()
