"""The test of a pixel model's worth: how much it changes good parts when it only redraws them.

The project's notes on TF-IDG, section 6: without difference compositing the pass must not change a good part by more
than 10 grey levels (``model_facts.MOST_OK_CHANGE``); a low error of single steps does not tell that.
"""

import cv2
import numpy as np
import torch

from ias_core.errors import ShapeError
from ias_core.synthesis.one_shot.pixel_model import PixelModel
from ias_core.synthesis.one_shot.sampling import POINTS, denoised

SIGMA = 40.0


def ok_to_ok_change(model: PixelModel, pictures: np.ndarray, *, seed: int, sigma: float = SIGMA) -> float:
    """How much a pass over good parts changes them where no difference is taken: the test of the model's worth.

    Parameters
    ----------
    pictures : ndarray of shape (n, s, s, 3)
        Good parts that it was not trained on, float32 in [0, 1]; one window at random of each.
    sigma : float
        Start of the pass. 40 is the higher of the two that the methods start from, and without guidance, as here, a
        pass changes most: a bound rather than an average.

    Returns
    -------
    float
        Mean absolute change in the middle of the windows, which is redrawn in full, in grey levels of 255.

    Raises
    ------
    ShapeError
        No picture, or pictures smaller than the model's window.
    """
    if pictures.ndim != 4 or not len(pictures) or min(pictures.shape[1:3]) < model.window_px:
        raise ShapeError(f"expected good parts of at least {model.window_px} px a side, got {pictures.shape}")
    rng = np.random.default_rng(seed)
    w = model.window_px
    edit = np.zeros((w, w), np.float32)
    edit[w // 6 : w - w // 6, w // 6 : w - w // 6] = 1
    edit = cv2.GaussianBlur(edit, (0, 0), 1)
    changes = []
    for picture in pictures:
        top, left = (int(rng.integers(extent - w + 1)) for extent in picture.shape[:2])
        window = picture[top : top + w, left : left + w]
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        (again,) = denoised(
            model,
            window,
            (window,),
            edit,
            np.zeros_like(edit),
            sigma=sigma,
            guidance=0.0,
            generator=generator,
            points=POINTS,
        )
        changes.append(255 * float(np.abs(again - window)[edit > 0.999].mean()))
    return float(np.mean(changes))
