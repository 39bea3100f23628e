"""Real NG and good parts of 64 px for the methods over tiny diffusion weights, and what those weights are known by."""

import hashlib

import numpy as np

from ias_core.synthesis.base import NgSource
from ias_core.synthesis.pretrained.backend import Backend
from ias_core.synthesis.pretrained.windows import Window
from tests.core.small import pictures
from tests.core.tiny_diffusion import SIDE

SIDE_PX = 64


def ng_sources(n: int = 2) -> tuple[NgSource, ...]:
    """Dark rectangles of 12 x 14 px, each at another place."""
    made = []
    for i, (top, left) in enumerate(((8, 10), (30, 40), (44, 6))[:n]):
        image, mask = pictures(1, SIDE_PX, seed=10 + i)[0], np.zeros((SIDE_PX, SIDE_PX), bool)
        mask[top : top + 12, left : left + 14] = True
        image[mask] *= np.float32(0.3)
        made.append(NgSource(f"ng{i}", image, mask))
    return tuple(made)


def window(*, top: int = 8, left: int = 8, px: int = 12) -> Window:
    """A window on a good part with a square target, at the side of the tiny weights."""
    canvas, target = pictures(1, SIDE, seed=3)[0], np.zeros((SIDE, SIDE), bool)
    target[top : top + px, left : left + px] = True
    return Window(canvas, target, canvas, canvas, target)


def known_by(backend: Backend) -> dict[str, str]:
    """Digest of every part's weights, its attention processors and its number of hooks."""
    parts = {"unet": backend.unet, "vae": backend.vae, "text_encoder": backend.text_encoder}
    told = {}
    for name, part in parts.items():
        state = hashlib.sha256()
        for key, tensor in sorted(part.state_dict().items()):
            state.update(key.encode() + tensor.numpy().tobytes())
        processors = [type(one).__name__ for one in getattr(part, "attn_processors", {}).values()]
        hooks = sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in part.modules())
        wanted = any(weight.requires_grad for weight in part.parameters())
        told[name] = f"{state.hexdigest()} {processors} {hooks} {wanted} {part.training}"
    return told | {"words": str(len(backend.tokenizer))}


def on(*_: object) -> bool:
    """A watch that lets a training go on."""
    return True
