"""The small pixel diffusion model of one product: what it is made of, how pictures go in and out, and its file.

The project's notes on TF-IDG, section 4 B1 (ours; no paper claim): a U-Net of 1.7 million weights over windows of
64 px, of which every 2 x 2 pixels become one of 12 channels. It predicts v (T. Salimans, J. Ho, ICLR 2022) on the
squared-cosine schedule (A. Nichol, P. Dhariwal, ICML 2021). Each window is freed of its own mean colour and divided by
one number s of the product: measured on magnetic tiles, that is worth more than any change to the net.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from ias_core.errors import ShapeError
from ias_core.synthesis.one_shot.model_facts import FORM, read_about, trouble_of, unreadable
from ias_core.torchvision_operators import ensure_torchvision

if TYPE_CHECKING:
    from diffusers import DDPMScheduler, UNet2DModel

CHANNELS = (32, 64, 96)
_CELL = 2  # px: side of the square of pixels that becomes one place of the net


@dataclass(frozen=True, slots=True, eq=False)
class PixelModel:
    """A trained net and what pictures must undergo before it sees them; shared, so left as it is.

    net : UNet2DModel    in eval mode, without gradients
    window_px : int      side of the windows it was trained on
    scale : float        s: root mean square of the training windows less their mean colours, for values in [-1, 1]
    meta : dict          JSON-ready facts of the training: steps, seconds, losses, seed, device, the digest of the
        pictures, ok_to_ok (mean change in grey levels, see ``ias_core.synthesis.one_shot.ok_to_ok``) ...
    digest : str         sha256 of settings and weights; facts do not count
    """

    net: UNet2DModel
    window_px: int
    scale: float
    meta: dict[str, Any]
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ShapeError(f"expected a scale above 0, got {self.scale}")
        self.net.requires_grad_(False).eval()
        object.__setattr__(self, "digest", self._digest())

    @property
    def device(self) -> torch.device:
        return next(self.net.parameters()).device

    @property
    def settings(self) -> dict[str, Any]:
        """JSON-ready: what the net is built from, and how pictures go in."""
        return {
            "channels": list(self.net.config.block_out_channels),
            "window_px": self.window_px,
            "scale": self.scale,
        }

    @property
    def trouble(self) -> str:
        """Why it should not be used, in a sentence; empty where nothing speaks against it."""
        return trouble_of(self.meta)

    def velocity(self, x: torch.Tensor, index: int) -> torch.Tensor:
        """v (n, 3, w, w) predicted for windows at one place of the noise schedule."""
        with torch.inference_mode():
            return predict(self.net, x, torch.full((len(x),), index, device=x.device))

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all: safetensors, settings and facts in its metadata."""
        from safetensors.torch import save

        about = {
            "form": FORM,
            "settings": json.dumps(self.settings),
            "meta": json.dumps(self.meta, ensure_ascii=False),
            "digest": self.digest,
        }
        data = save({name: weights.contiguous().cpu() for name, weights in self.net.state_dict().items()}, about)
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(beside, path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: Path, *, device: torch.device | None = None) -> PixelModel:
        """A saved model, on the CPU unless a device is named.

        Raises
        ------
        IasError
            The file is missing, damaged, or holds something else.
        """
        from safetensors import SafetensorError, safe_open

        try:
            about = read_about(path)
            settings, meta = about["settings"], about["meta"]
            net = build_net(settings["window_px"], tuple(settings["channels"]))
            with safe_open(path, framework="pt") as file:
                net.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
            model = cls(net, settings["window_px"], settings["scale"], meta)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise unreadable(path, error) from error
        if model.digest != about["digest"]:
            raise unreadable(path, "its weights are not those that were saved")
        net.to(device=device or "cpu", memory_format=torch.channels_last)
        return model

    def _digest(self) -> str:
        sha = hashlib.sha256(json.dumps([FORM, self.settings], sort_keys=True).encode())
        for name, weights in sorted(self.net.state_dict().items()):
            sha.update(name.encode())
            sha.update(weights.detach().float().cpu().contiguous().numpy().tobytes())
        return sha.hexdigest()


def build_net(window_px: int, channels: tuple[int, ...] = CHANNELS) -> UNet2DModel:
    """The net with the weights torch's global generator gives it, for windows of ``window_px``.

    Raises
    ------
    ShapeError
        Windows that cannot be halved as often as the net does it.
    """
    least = _CELL * 2 ** (len(channels) - 1)
    if window_px < least or window_px % least:
        raise ShapeError(f"expected windows of a multiple of {least} px, got {window_px}")
    ensure_torchvision()
    from diffusers import UNet2DModel

    return UNet2DModel(
        sample_size=window_px // _CELL,
        in_channels=3 * _CELL**2,
        out_channels=3 * _CELL**2,
        layers_per_block=1,
        block_out_channels=channels,
        down_block_types=("DownBlock2D",) * len(channels),
        up_block_types=("UpBlock2D",) * len(channels),
        norm_num_groups=8,
        add_attention=False,
    )


def predict(net: UNet2DModel, x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """v (n, 3, w, w) for windows (n, 3, w, w) at places (n,) of the noise schedule."""
    cells = F.pixel_unshuffle(x, _CELL).contiguous(memory_format=torch.channels_last)  # (n, 12, w / 2, w / 2)
    return F.pixel_shuffle(net(cells, indices).sample, _CELL)


@cache
def schedule() -> DDPMScheduler:
    """Its ``alphas_cumprod`` (1000,) are the shares of the picture's variance that are left at each place."""
    ensure_torchvision()
    from diffusers import DDPMScheduler

    return DDPMScheduler(1000, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")


def to_window(picture: np.ndarray) -> torch.Tensor:
    """(1, 3, w, w) in [-1, 1] from a picture (w, w, 3) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32))[None] * 2 - 1


def mean_colours(windows: torch.Tensor) -> torch.Tensor:
    """(n, 3, 1, 1) from windows (n, 3, w, w)."""
    return windows.mean((2, 3), keepdim=True)
