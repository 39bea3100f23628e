"""What the pixel model redraws: masked denoising, and only the difference that a defect makes in it.

The project's notes on TF-IDG, section 4 B3 (masked denoising: C. Meng et al., "SDEdit", ICLR 2022; O. Avrahami,
D. Lischinski, O. Fried, "Blended diffusion", CVPR 2022) and B5 (difference compositing, ours), and those on RealNet
(X. Zhang, M. Xu, X. Zhou, CVPR 2024), "SDAS-lite". A model trained in minutes adds grain to whatever it redraws: two
runs with the same random numbers, one with the defect and one without, add the same, so their difference has none.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from ias_core.errors import ShapeError
from ias_core.synthesis.one_shot.pixel_model import PixelModel, mean_colours, schedule, to_window
from ias_core.synthesis.one_shot.window import around, edit_mask, placed

POINTS = 20
_GREY_LEVELS = 127.5  # in one unit of values in [-1, 1]


def noise_index(model: PixelModel, sigma: float) -> int:
    """Place of the schedule at which the noise is nearest to ``sigma`` grey levels (of 255) on this product.

    s 127.5 sqrt((1 - ab) / ab), with s the model's scale and ab the share of the picture's variance that is left.
    """
    left = schedule().alphas_cumprod.cpu().double()
    return int((model.scale * _GREY_LEVELS * ((1 - left) / left).sqrt() - sigma).abs().argmin())


def redrawn(
    model: PixelModel,
    canvas: np.ndarray,
    collage: np.ndarray,
    edit: np.ndarray,
    core: np.ndarray,
    *,
    sigma: float,
    guidance: float,
    generator: torch.Generator,
    points: int = POINTS,
) -> np.ndarray:
    """What the defect of a collage adds to a good part once the model has redrawn it: P - Q of B5.

    P is the collage, noised to ``sigma`` and denoised; Q is the good part in the place of the collage, with the same
    random numbers in one batch. Where collage and good part are the same, the answer is 0 everywhere.

    Parameters
    ----------
    canvas, collage : ndarray of shape (w, w, 3)
        The good part and the same with the defect pasted in, float32 in [0, 1], w a multiple of what the net needs.
    edit, core : ndarray of shape (w, w)
        float32 in [0, 1]: where the picture may change, and where guidance holds it to the collage.
    sigma : float
        Noise to start from, in grey levels of 255, above 0: the more, the fainter and softer the defect.
    guidance : float
        lambda in [0, 1]: how firmly each estimate is drawn to the collage; fades with the noise.
    generator : torch.Generator
        On the CPU, so that a seed means the same on every device.
    points : int
        Steps from the noise to the picture.

    Returns
    -------
    ndarray of shape (w, w, 3)
        float32, in units of [0, 1] intensity, of either sign; 0 where ``edit`` is 0.

    Raises
    ------
    ShapeError
        Pictures, masks or numbers that do not fit.

    Notes
    -----
    The loop is written by hand: ``DDIMScheduler.step`` takes t - 1000 // n for the next time, which is wrong whenever n
    does not divide 1000. Fewer points are used where the start lies so low that some would coincide.
    """
    _check(canvas, collage, edit, core)
    if not 0 <= guidance <= 1:
        raise ShapeError(f"expected a guidance in [0, 1], got {guidance}")
    both = denoised(
        model, canvas, (collage, canvas), edit, core, sigma=sigma, guidance=guidance, generator=generator, points=points
    )
    return both[0] - both[1]


def difference_in_window(
    model: PixelModel,
    picture: np.ndarray,
    collage: np.ndarray,
    mask: np.ndarray,
    *,
    sigma: float,
    guidance: float,
    generator: torch.Generator,
) -> np.ndarray:
    """What a pasted defect adds to a good part once the model has redrawn it, whatever the defect's size.

    Parameters
    ----------
    picture, collage : ndarray of shape (s, s, 3)
        The good part, and the same with the defect pasted in; float32 in [0, 1], s at least the model's window.
    mask : ndarray of shape (s, s)
        bool, the defect's place.
    sigma, guidance, generator
        As of ``redrawn``.

    Returns
    -------
    ndarray of shape (s, s, 3)
        float32, in units of [0, 1] intensity, of either sign: to be added to ``picture`` and clipped. 0 outside the
        mask grown by 4 px, and 0 everywhere where collage and picture are the same.

    Raises
    ------
    ShapeError
        An empty mask, a picture smaller than the model's window, or arrays that do not fit.
    """
    if picture.shape != (*mask.shape, 3) or collage.shape != picture.shape or mask.dtype != bool:
        raise ShapeError(
            f"expected picture and collage (s, s, 3) with a bool mask (s, s), got {picture.shape}, {collage.shape} and "
            f"{mask.dtype} {mask.shape}"
        )
    window = around(mask, model.window_px)
    edit = edit_mask(mask)
    core = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.7)
    difference = redrawn(
        model,
        window.reduced(picture),
        window.reduced(collage),
        window.reduced(edit),
        window.reduced(core),
        sigma=sigma,
        guidance=guidance,
        generator=generator,
    )
    return placed(difference, window, edit, mask)


def overnoised(
    model: PixelModel,
    canvas: np.ndarray,
    edit: np.ndarray,
    *,
    strength: float,
    sigma: float,
    generator: torch.Generator,
    points: int = POINTS,
) -> np.ndarray:
    """What too much noise per step adds to a good part: SDAS-lite.

    Ancestral sampling from ``sigma`` with the noise of each step multiplied by sqrt(1 + s), less the same with s = 0;
    both in one batch with the same random numbers, so that s = 0 adds exactly nothing.

    Parameters
    ----------
    canvas, edit, sigma, generator, points
        As of ``redrawn``.
    strength : float
        s >= 0, on the variance. Below 0 lies no blur but inverted grain.

    Returns
    -------
    ndarray of shape (w, w, 3)
        As of ``redrawn``.

    Raises
    ------
    ShapeError
        A strength below 0, or pictures and masks that do not fit.
    """
    _check(canvas, canvas, edit, edit)
    if not strength >= 0:
        raise ShapeError(f"expected a strength of 0 or more, got {strength}")
    both = denoised(
        model,
        canvas,
        (canvas, canvas),
        edit,
        np.zeros_like(edit),
        sigma=sigma,
        guidance=0.0,
        generator=generator,
        points=points,
        excess=(strength, 0.0),
    )
    return both[0] - both[1]


def denoised(
    model: PixelModel,
    canvas: np.ndarray,
    starts: tuple[np.ndarray, ...],
    edit: np.ndarray,
    core: np.ndarray,
    *,
    sigma: float,
    guidance: float,
    generator: torch.Generator,
    points: int,
    excess: tuple[float, ...] | None = None,
) -> np.ndarray:
    """Every start noised to ``sigma`` and denoised inside ``edit``, all with the same random numbers.

    Without ``excess`` the steps are deterministic (DDIM); with it they are ancestral, with noise of 1 + excess times
    the variance, one excess for each start.

    Returns
    -------
    ndarray of shape (len(starts), w, w, 3)
        float32, in units of [0, 1] intensity, not clipped.
    """
    if not sigma > 0 or points < 1:
        raise ShapeError(f"expected noise above 0 and at least 1 step, got {sigma} and {points}")
    device, s = model.device, model.scale
    mean = mean_colours(to_window(canvas)).to(device)  # the good part's own, for every start
    ok, *aims = (((to_window(one).to(device) - mean) / s) for one in (canvas, *starts))
    aim = torch.cat(aims)  # (k, 3, w, w)
    lowest, highest = (-1 - mean) / s, (1 - mean) / s
    m, hold = (torch.from_numpy(np.ascontiguousarray(one, np.float32)).to(device) for one in (edit, core))

    def noise() -> torch.Tensor:
        return torch.randn(ok.shape, generator=generator).to(device)

    left = schedule().alphas_cumprod.cpu().double()
    first = noise_index(model, sigma)
    places = np.unique(np.round(first * np.arange(points, 0, -1) / points).astype(int))[::-1]
    shares = [float(left[place]) for place in places] + [1.0]  # ab at each point, and of the picture itself
    x = shares[0] ** 0.5 * aim + (1 - shares[0]) ** 0.5 * noise()
    for i, place in enumerate(places):
        now, after = shares[i], shares[i + 1]
        v = model.velocity(x, int(place))
        x0 = torch.clamp(now**0.5 * x - (1 - now) ** 0.5 * v, lowest, highest)
        x0 = x0 + guidance * (place / max(first, 1)) * hold * (aim - x0)
        eps = (x - now**0.5 * x0) / (1 - now) ** 0.5
        if excess is None:
            x = after**0.5 * x0 + (1 - after) ** 0.5 * eps
        else:
            variance = (1 - after) / (1 - now) * (1 - now / after)
            grown = torch.tensor([(1 + one) ** 0.5 for one in excess], device=device).view(-1, 1, 1, 1)
            kept = max(1 - after - variance, 0.0)  # rounding may leave less
            x = after**0.5 * x0 + kept**0.5 * eps + variance**0.5 * grown * noise()
        x = m * x + (1 - m) * (after**0.5 * ok + (1 - after) ** 0.5 * noise())
    return ((x * s + mean + 1) / 2).permute(0, 2, 3, 1).cpu().numpy()


def _check(canvas: np.ndarray, collage: np.ndarray, edit: np.ndarray, core: np.ndarray) -> None:
    side = canvas.shape[0]
    if canvas.shape != (side, side, 3) or collage.shape != canvas.shape or not edit.shape == core.shape == (side, side):
        raise ShapeError(
            f"expected two windows (w, w, 3) and two masks (w, w), got {canvas.shape}, {collage.shape}, {edit.shape} "
            f"and {core.shape}"
        )
