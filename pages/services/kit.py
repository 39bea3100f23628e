"""What methods take beyond good parts, fetched once for a run: real NG, a pixel model, weights, and their settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from pages.services.settings import OneShotConfig, RunConfig, SynthesisConfig
from pages.services.workspace import Workspace

if TYPE_CHECKING:
    from ias_core.synthesis.base import NgSource
    from ias_core.synthesis.pretrained.adapter import Adapter


@dataclass(frozen=True, slots=True)
class Kit:
    """Resources by the name of the field that takes them; an adapter belongs to one method each."""

    shared: Mapping[str, Any] = field(default_factory=dict)
    adapters: Mapping[str, Adapter] = field(default_factory=dict)

    def given(self, method: str) -> dict[str, Any]:
        """What ``ias_core.synthesis.base.build`` may hand to this method."""
        return {**self.shared, "adapter": self.adapters.get(method)}


def kit_of(ws: Workspace, config: RunConfig, methods: Iterable[str], *, to_train: bool = False) -> Kit:
    """Only what these methods have a field for is read; no adapters where one is ``to_train``.

    Raises
    ------
    IasError
        A source, model or weights that the settings name are gone, changed, or do not fit.
    """
    from pages.services.made import method_class

    wanted = {name: {one.name for one in fields(method_class(name))} for name in methods}
    every = set().union(*wanted.values()) if wanted else set()
    synthesis = config.synthesis
    shared = options(synthesis)
    if "sources" in every and synthesis.sources:
        from pages.services.ng_sources import load_sources

        shared["sources"] = load_sources(ws, config, config.detector.input_size)
    if "model" in every and synthesis.one_shot.model:
        from pages.services.pixel_model import load_model

        shared["model"] = load_model(ws, synthesis.one_shot.model)
    adapters = {}
    if "backend" in every and synthesis.pretrained.weights:
        from pages.services.adapters import load_adapter
        from pages.services.weights import load_backend

        shared["backend"] = load_backend(config)
        adapters = {
            name: load_adapter(ws, digest)
            for name, digest in synthesis.pretrained.adapters.items()
            if name in wanted and not to_train
        }
    return Kit(shared, adapters)


def kit_of_sources(sources: tuple[NgSource, ...], config: SynthesisConfig) -> Kit:
    """For methods that take real NG and nothing that must be loaded."""
    return Kit(options(config) | {"sources": sources})


def options(config: SynthesisConfig) -> dict[str, Any]:
    """Settings that methods have fields for."""
    pretrained = config.pretrained
    words = {"product": pretrained.product, "defect": pretrained.defect, "steps": pretrained.steps}
    return one_shot_options(config.one_shot) | words


def one_shot_options(config: OneShotConfig) -> dict[str, Any]:
    """How a real NG's defect is carried over."""
    return {
        "softness": config.softness,
        "guidance": config.guidance,
        "place": config.place,
        "turn": config.turn,
    }
