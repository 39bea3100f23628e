"""Several methods as one set, in given shares.

ASBench (the project's notes on hand-crafted synthesis) found that no method wins everywhere and that mixtures beat
their parts. Each method keeps its own seed, so that adding one leaves the pictures of the others as they were.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ias_core.errors import IasError
from ias_core.synthesis.base import SyntheticDefects, build, check_request
from ias_core.synthesis.texture_source import TextureSource


def amounts(shares: Mapping[str, float], count: int) -> dict[str, int]:
    """``count`` pictures by the method of largest remainders; shares need not add up to 1.

    Examples
    --------
    >>> amounts({"a": 0.5, "b": 0.25, "c": 0.25}, 10)
    {'a': 5, 'b': 3, 'c': 2}
    """
    if not shares or not all(0 < share < np.inf for share in shares.values()):
        raise IasError(f"expected at least one method with a share above 0 each, got {dict(shares)}")
    total = sum(shares.values())
    exact = {name: count * share / total for name, share in shares.items()}
    found = {name: int(amount) for name, amount in exact.items()}
    by_remainder = sorted(exact, key=lambda name: found[name] - exact[name])  # stable: earlier methods first
    for name in by_remainder[: count - sum(found.values())]:
        found[name] += 1
    return found


def mix(
    name: str,
    shares: Mapping[str, float],
    images: np.ndarray,
    *,
    count: int,
    seed: int,
    severity: Mapping[str, float],
    size_px: Mapping[str, float],
    foregrounds: np.ndarray | None = None,
    textures: TextureSource | None = None,
    given: Callable[[str], Mapping[str, Any]] = lambda method: {},
) -> SyntheticDefects:
    """``count`` images of several methods, one method after the other.

    Parameters
    ----------
    name : str
        What the set is called.
    shares : method -> share
    images, foregrounds, textures
        As of ``ImageSynthesizer``; every method goes on with the parents where the one before stopped.
    severity, size_px : method -> dial
        Methods that are not named draw as published.
    given : method -> what it takes beyond good parts, see ``base.build``

    Returns
    -------
    SyntheticDefects
        ``settings`` name the method of each image.

    Raises
    ------
    KeyError
        A method that does not exist.
    SynthesisError
        One that needs what is not given.
    """
    check_request(images, count)
    parts, parents, done = [], [], 0
    for method, amount in amounts(shares, count).items():
        if amount == 0:
            continue
        order = (np.arange(len(images)) + done) % len(images)
        made = build(method, given(method))(
            images[order],
            count=amount,
            seed=int(np.random.SeedSequence([seed, zlib.crc32(method.encode())]).generate_state(1)[0]),
            severity=severity.get(method),
            size_px=size_px.get(method),
            foregrounds=None if foregrounds is None else foregrounds[order],
            textures=textures,
        )
        parts.append(made)
        parents.append(order[made.parents])
        done += amount
    return SyntheticDefects(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.masks for part in parts]),
        np.concatenate(parents),
        name,
        np.concatenate([part.severities for part in parts]),
        tuple(texture for part in parts for texture in part.textures),
        seed,
        tuple({"method": part.method, **drawn} for part in parts for drawn in part.settings or [{}] * len(part.images)),
    )
