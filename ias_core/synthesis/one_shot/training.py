"""Teaching the pixel model one product's good parts, in a given time.

The project's notes on TF-IDG, section 4 B1 (ours): crops at random places, AdamW, an exponential mean of the weights.
Time, not steps, is what the user gives: two cores that others use as well make anything from 300 to 800 steps of it.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from ias_core.errors import ShapeError, SynthesisError
from ias_core.peak_memory import PeakMemory
from ias_core.synthesis.one_shot.model_facts import LEAST_PICTURES, WINDOW_PX
from ias_core.synthesis.one_shot.pixel_model import CHANNELS, PixelModel, build_net, mean_colours, predict, schedule
from ias_core.synthesis.one_shot.sampling import denoised

if TYPE_CHECKING:
    from ias_core.synthesis.base import NgSource

_RATE, _LAST_RATE, _WARM_UP = 2e-3, 0.05, 50
_CLIP = 1.0
_BATCH, _CUDA_BATCH = 16, 64
_NG_SHARE = 0.1
_SCALE_CROPS = 256
_WATCH_S, _PREVIEW_S = 1.0, 15.0
_MEAN_OVER, _CURVE = 50, 100
_PREVIEWS, _PREVIEW_SIGMA, _PREVIEW_POINTS = 3, 40.0, 10

Crops = Callable[[int], torch.Tensor]
"""How many -> that many crops (n, 3, w, w) in [-1, 1]."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Where a training is.

    step, planned : int      planned: about how many there will be, at the pace so far
    seconds : float
    loss : float             mean of the last 50 steps
    preview : (2 w, 3 w, 3) uint8   three crops of good parts, and below them what the model makes of them when they are
        noised to 40 grey levels; about every 15 s, else None
    model : PixelModel       as it is now; beside each preview, else None
    """

    step: int
    planned: int
    seconds: float
    loss: float
    preview: np.ndarray | None = None
    model: PixelModel | None = None


def train(
    ok: np.ndarray,
    *,
    ng: tuple[NgSource, ...] = (),
    seed: int,
    budget_s: float,
    window_px: int = WINDOW_PX,
    device: torch.device,
    flips: bool = True,
    most_steps: int | None = None,
    watch: Callable[[Snapshot], bool],
    channels: tuple[int, ...] = CHANNELS,
    clock: Callable[[], float] = time.monotonic,
) -> PixelModel:
    """A pixel model of these good parts, at the end of the time, of the steps, or when it is asked to stop.

    Parameters
    ----------
    ok : ndarray of shape (n, s, s, 3)
        Good parts, float32 in [0, 1], n >= 3, s >= ``window_px``.
    ng : tuple of NgSource
        A tenth of the crops is taken around their defects. None for SDAS, which must know good parts alone.
    seed : int
        With a fixed number of steps, on one machine: the same seed, the same weights.
    budget_s : float
        Wall-clock seconds in all, previews among them; infinite if ``most_steps`` is given.
    flips : bool
        Whether a mirrored good part is a good part.
    watch : callable
        Gets a Snapshot about every second; training ends when it says False.
    channels : tuple of int
        Widths of the net; each level but the last halves the picture.
    clock : callable
        Seconds that never run backwards.

    Returns
    -------
    PixelModel
        With the exponential mean of the weights, on ``device``. ``meta``: steps, seconds, loss (at most 100 means of
        equally many steps), final_loss, ended ("time", "steps", "stopped" or "loss not finite"), n_pictures, ng (their
        names), flips, seed, budget_s, device, batch, peak_memory_bytes.

    Raises
    ------
    SynthesisError
        Fewer than 3 good parts, pictures below the window, or not one step with a finite loss.
    ShapeError
        Arrays or numbers that do not fit.

    Notes
    -----
    How many steps the time will hold is not known, and changes when others use the machine. So the learning rate is
    ruled by the share of the time that is over (or of the steps, where those are fixed): at share p it is
    0.05 + 0.95 (1 + cos(pi p)) / 2 of its highest, after 50 steps of warm-up. It is planned anew at every step, so to
    speak, and is low at the end whatever the pace was. A step is not begun if, as long as the last one, it would end
    beyond the budget.

    A step whose gradient is not finite, as that of a loss that is none, is not taken, and ends the training: the
    weights stay those before it.
    """
    _check(ok, ng, budget_s, window_px, most_steps)
    start = clock()
    rng, noise = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = build_net(window_px, channels)
    net.to(device=device, memory_format=torch.channels_last)
    ema = _ema(net)
    averaged = copy.deepcopy(net)
    crops = _crops(ok, ng, window_px, flips, rng)
    scale = _scale(crops)
    shown = _crops(ok, (), window_px, flips, rng)(_PREVIEWS)
    batch = _CUDA_BATCH if device.type == "cuda" else _BATCH
    optimizer = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=1e-4)
    losses: list[float] = []
    facts = {
        "n_pictures": len(ok),
        "ng": [source.name for source in ng],
        "flips": flips,
        "seed": seed,
        "budget_s": budget_s if math.isfinite(budget_s) else None,
        "device": str(device),
        "batch": batch,
    }

    def model_now(**more: Any) -> PixelModel:
        ema.copy_to(averaged.parameters())
        meta = facts | {"steps": len(losses), "seconds": round(clock() - start, 1)} | _loss_facts(losses) | more
        return PixelModel(copy.deepcopy(averaged), window_px, scale, meta)

    def snapshot(share: float, *, with_preview: bool) -> Snapshot:
        model = model_now(ended="stopped") if with_preview else None
        return Snapshot(
            step=len(losses),
            planned=max(len(losses), round(len(losses) / share)),
            seconds=clock() - start,
            loss=float(np.mean(losses[-_MEAN_OVER:])),
            preview=model and preview(model, shown, seed),
            model=model,
        )

    def over() -> float:
        return max((clock() - start) / budget_s, len(losses) / most_steps if most_steps else 0.0)

    watched, previewed, took = start, start, 0.0
    with PeakMemory(str(device)) as peak:
        while True:
            began = clock()
            if losses and began - start + took > budget_s:
                ended = "time"
                break
            if len(losses) == most_steps:
                ended = "steps"
                break
            for group in optimizer.param_groups:
                group["lr"] = rate(len(losses), over())
            loss = _step(net, optimizer, crops(batch), scale, noise)
            if loss is None:
                ended = "loss not finite"
                break
            ema.step(net.parameters())
            losses.append(loss)
            now = clock()
            took = now - began
            if now - watched < _WATCH_S:
                continue
            with_preview = now - previewed >= _PREVIEW_S <= start + budget_s - now  # none that would end beyond it
            if not watch(snapshot(over(), with_preview=with_preview)):
                ended = "stopped"
                break
            watched = clock()
            previewed = watched if with_preview else previewed
    if not losses:
        raise SynthesisError(
            "training the pixel model broke off at its first step, whose loss was not finite: use the instant mode, "
            "which needs no model"
        )
    return model_now(ended=ended, peak_memory_bytes=peak.bytes)


def rate(step: int, share: float) -> float:
    """Learning rate: a linear warm-up over 50 steps, and a cosine over the share of the training that is over.

    Examples
    --------
    >>> round(rate(0, 0.0), 6), rate(49, 0.0), round(rate(400, 0.5), 6), round(rate(800, 1.0), 6)
    (4e-05, 0.002, 0.00105, 0.0001)
    """
    cosine = _LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
    return _RATE * min(1.0, (step + 1) / _WARM_UP) * cosine


def preview(model: PixelModel, shown: torch.Tensor, seed: int) -> np.ndarray:
    """(2 w, n w, 3) uint8: crops (n, 3, w, w) in [-1, 1], and below them what the model makes of each."""
    everywhere = np.ones(shown.shape[2:], np.float32)
    columns = []
    for place, crop in enumerate(shown):
        window = (crop.permute(1, 2, 0).numpy() + 1) / 2
        (again,) = denoised(
            model,
            window,
            (window,),
            everywhere,
            np.zeros_like(everywhere),
            sigma=_PREVIEW_SIGMA,
            guidance=0.0,
            generator=torch.Generator().manual_seed(seed + place),
            points=_PREVIEW_POINTS,
        )
        columns.append(np.concatenate([window, again]))
    return np.rint(255 * np.clip(np.concatenate(columns, 1), 0, 1)).astype(np.uint8)


def _step(
    net: Any, optimizer: torch.optim.Optimizer, crops: torch.Tensor, scale: float, noise: torch.Generator
) -> float | None:
    """One step of gradient descent, and its loss; None, and no step, where the gradient is not finite."""
    device = next(net.parameters()).device
    clean = ((crops - mean_colours(crops)) / scale).to(device)
    times = torch.randint(len(schedule().alphas_cumprod), (len(clean),), generator=noise).to(device)
    added = torch.randn(clean.shape, generator=noise).to(device)
    v = predict(net, schedule().add_noise(clean, added, times), times)
    loss = F.mse_loss(v, schedule().get_velocity(clean, added, times))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if not math.isfinite(float(torch.nn.utils.clip_grad_norm_(net.parameters(), _CLIP))):
        return None
    optimizer.step()
    return float(loss.detach())


def _ema(net: Any) -> Any:
    from diffusers.training_utils import EMAModel

    return EMAModel(net.parameters(), decay=0.995, use_ema_warmup=True, power=0.75)


def _crops(ok: np.ndarray, ng: tuple[NgSource, ...], w: int, flips: bool, rng: np.random.Generator) -> Crops:
    """Crops at random places of random pictures; where NG are given, a tenth of them holds a pixel of their defects."""

    def one() -> np.ndarray:
        if ng and rng.uniform() < _NG_SHARE:
            source = ng[rng.integers(len(ng))]
            inside = np.argwhere(source.mask)
            row, column = inside[rng.integers(len(inside))]
            picture = source.image
            top, left = (
                int(np.clip(place - rng.integers(w), 0, extent - w))
                for place, extent in zip((row, column), picture.shape[:2], strict=True)
            )
        else:
            picture = ok[rng.integers(len(ok))]
            top, left = (int(rng.integers(extent - w + 1)) for extent in picture.shape[:2])
        crop = picture[top : top + w, left : left + w]
        if flips:
            crop = crop[:: -1 if rng.integers(2) else 1, :: -1 if rng.integers(2) else 1]
        return crop

    def crops(count: int) -> torch.Tensor:
        stack = np.stack([one() for _ in range(count)]).astype(np.float32)
        return torch.from_numpy(stack).permute(0, 3, 1, 2) * 2 - 1

    return crops


def _scale(crops: Crops) -> float:
    """s: root mean square of crops less their mean colours, never below one grey level."""
    some = crops(_SCALE_CROPS)
    return max(float((some - mean_colours(some)).square().mean().sqrt()), 2 / 255)


def _loss_facts(losses: list[float]) -> dict[str, Any]:
    curve = [round(float(part.mean()), 5) for part in np.array_split(losses, _CURVE) if len(part)]
    return {"loss": curve, "final_loss": round(float(np.mean(losses[-_MEAN_OVER:])), 5)}


def _check(ok: np.ndarray, ng: tuple[NgSource, ...], budget_s: float, window_px: int, most_steps: int | None) -> None:
    if ok.ndim != 4 or ok.shape[3] != 3:
        raise ShapeError(f"expected good parts (n, s, s, 3), got {ok.shape}")
    if len(ok) < LEAST_PICTURES or min(ok.shape[1:3]) < window_px:
        raise SynthesisError(
            f"a pixel model needs at least {LEAST_PICTURES} good parts of at least {window_px} px a side, got "
            f"{len(ok)} of {ok.shape[1]} x {ok.shape[2]} px: use the instant mode, which needs no model"
        )
    if not np.isfinite(ok).all():
        raise ShapeError("expected good parts of finite numbers, got some that are not")
    for source in ng:
        if min(source.mask.shape) < window_px or not source.mask.any():
            raise ShapeError(
                f"expected NG of at least {window_px} px a side with a defect marked, got {source.name} of "
                f"{source.mask.shape} with {int(source.mask.sum())} px marked"
            )
    if not budget_s > 0 or (math.isinf(budget_s) and most_steps is None) or (most_steps is not None and most_steps < 1):
        raise ShapeError(f"expected a time above 0 s, or a number of steps above 0; got {budget_s} and {most_steps}")
