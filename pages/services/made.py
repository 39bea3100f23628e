"""Make synthetic NG by name, and say of each picture how large and how plain its defect came out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ias_core.errors import IasError
from pages.services.kit import Kit
from pages.services.settings import MIXTURE, SynthesisConfig

if TYPE_CHECKING:
    from ias_core.synthesis.base import SyntheticDefects
    from ias_core.synthesis.texture_source import TextureSource

ONE_SHOT = "one-shot-diffusion"
MOST_PARENTS = 60  # OK pictures that defects are made on


def method_names(given: Iterable[str] = ()) -> tuple[str, ...]:
    """Every image-space method that needs nothing beyond good parts but what is ``given``, of NEEDS; sorted."""
    import ias_core.synthesis  # noqa: F401  registers the methods
    from ias_core.synthesis.base import synthesizers

    return tuple(name for name in synthesizers if set(synthesizers[name].needs) <= set(given))


def lacking(config: SynthesisConfig) -> dict[str, str]:
    """Method -> what it still needs with these settings; only those that lack something, sorted."""
    from ias_core.synthesis.base import NEEDS

    pretrained = config.pretrained
    have = {"sources": config.sources, "model": config.one_shot.model, "backend": pretrained.weights}
    found = {}
    for name in method_names(NEEDS):
        has = have | {"adapter": name in pretrained.adapters}
        missing = [NEEDS[need] for need in method_class(name).needs if not has[need]]
        if missing:
            found[name] = f"needs {' and '.join(missing)}"
    return found


def usable_methods(config: SynthesisConfig) -> tuple[str, ...]:
    """The methods whose needs these settings meet, sorted."""
    from ias_core.synthesis.base import NEEDS

    missing = lacking(config)
    return tuple(name for name in method_names(NEEDS) if name not in missing)


def texture_source(folder: str) -> TextureSource | None:
    """The user's textures; None, which is those this package makes, where no folder is named."""
    if not folder:
        return None
    from ias_core.synthesis.folder_textures import FolderTextures

    return FolderTextures(Path(folder))


def make(
    name: str,
    images: np.ndarray,
    config: SynthesisConfig,
    *,
    count: int,
    seed: int,
    foregrounds: np.ndarray | None = None,
    textures: TextureSource | None = None,
    kit: Kit | None = None,
) -> SyntheticDefects:
    """Synthetic NG of one method, or of the mixture, with the dials of ``config``.

    Parameters
    ----------
    name : str
        Registered, or MIXTURE.
    images : ndarray of shape (n, s, s, 3)
        OK images outside the memory bank.
    foregrounds, textures
        As of ``ias_core.synthesis.base.ImageSynthesizer``.
    kit : Kit, optional
        What methods take beyond good parts.

    Raises
    ------
    IasError
        An unknown method, a dial it does not have, something it needs and is not given, or no visible defect.
    """
    kit = kit or Kit()
    if name == MIXTURE:
        from ias_core.synthesis.mixture import mix

        for part in config.mixture:
            method_class(part)
        return mix(
            MIXTURE,
            config.mixture,
            images,
            count=count,
            seed=seed,
            severity=config.severity,
            size_px=config.size_px,
            foregrounds=foregrounds,
            textures=textures,
            given=kit.given,
        )
    method_class(name)  # an unknown one is told with the nearest names
    return kit.run(
        name,
        lambda method: method(
            images,
            count=count,
            seed=seed,
            severity=config.severity.get(name),
            size_px=config.size_px.get(name),
            foregrounds=foregrounds,
            textures=textures,
        ),
    )


def method_class(name: str) -> type:
    """The registered class; an unknown name raises IasError with the nearest ones."""
    import ias_core.synthesis  # noqa: F401  registers the methods
    from ias_core.synthesis.base import synthesizers

    try:
        return synthesizers[name]
    except KeyError as error:
        raise IasError(str(error.args[0])) from None


def facts_of(made: SyntheticDefects, parents: np.ndarray) -> dict[str, Any]:
    """JSON-ready lists, one entry per picture: drawn values, and what was measured on the pixels.

    ``mean_abs_diff``, ``max_abs_diff``: change inside the mask, mean of the channels, in grey levels 0..255.
    """
    from ias_core.synthesis.measures import equivalent_diameter_px, signal_to_noise

    changes = [
        255 * np.abs(image[mask] - parents[p][mask]).mean(1)
        for image, mask, p in zip(made.images, made.masks, made.parents, strict=True)
    ]
    return {
        "severities": [round(float(s), 4) for s in made.severities],
        "textures": list(made.textures),
        "settings": list(made.settings) or [{} for _ in made.images],
        "area_px": [int(mask.sum()) for mask in made.masks],
        "mask_share": [round(float(mask.mean()), 5) for mask in made.masks],
        "size_px": [round(equivalent_diameter_px(mask), 3) for mask in made.masks],
        "snr": [
            round(signal_to_noise(parents[p], image, mask), 4)
            for p, image, mask in zip(made.parents, made.images, made.masks, strict=True)
        ],
        "mean_abs_diff": [round(float(change.mean()), 3) for change in changes],
        "max_abs_diff": [round(float(change.max()), 3) for change in changes],
    }
