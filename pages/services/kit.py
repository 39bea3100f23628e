"""What methods take beyond good parts, fetched once for a run: real NG, a pixel model, weights, and their settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from pages.services.settings import OneShotConfig, RunConfig, SynthesisConfig
from pages.services.workspace import Workspace

if TYPE_CHECKING:
    from ias_core.synthesis.base import NgSource
    from ias_core.synthesis.pretrained.adapter import Adapter
    from ias_core.synthesis.pretrained.backend import Backend
    from ias_core.synthesis.pretrained.retreat import BackendRunner

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Kit:
    """Resources by the name of the field that takes them; an adapter belongs to one method each.

    ``weights``: loaded when the first method needs them; smaller where memory runs out.
    """

    shared: Mapping[str, Any] = field(default_factory=dict)
    adapters: Mapping[str, Adapter] = field(default_factory=dict)
    weights: BackendRunner | None = None

    def given(self, method: str) -> dict[str, Any]:
        """What ``ias_core.synthesis.base.build`` may hand to this method; loads weights where it needs them."""
        needs_weights = self.weights is not None and "backend" in _needs(method)
        return self._with(method, self.weights.backend if needs_weights else None)

    def run(self, method: str, action: Callable[[Any], _Result]) -> _Result:
        """``action(method built with what it needs)``, again with smaller weights where memory runs out.

        Raises
        ------
        IasError
            As of ``build``; or memory runs out with the smallest.
        """
        from ias_core.synthesis.base import build

        if self.weights is None or "backend" not in _needs(method):
            return action(build(method, self.given(method)))
        return self.weights(lambda backend: action(build(method, self._with(method, backend))))

    def _with(self, method: str, backend: Backend | None) -> dict[str, Any]:
        return {**self.shared, "adapter": self.adapters.get(method), "backend": backend}

    def made_with(self, method: str) -> dict[str, str]:
        """sha256 of the networks that the method drew with, for manifests; empty where it needs none."""
        takes = {one.name for one in fields(_class(method))}
        found = {
            "weights": self.weights.backend if self.weights is not None and "backend" in takes else None,
            "adapter": self.adapters.get(method),
            "pixel_model": self.shared.get("model") if "model" in takes and self._draws_with_model(method) else None,
        }
        return {what: network.digest for what, network in found.items() if network is not None}

    def _draws_with_model(self, method: str) -> bool:
        return "model" in _needs(method) or bool(self.shared.get("softness"))

    @property
    def notices(self) -> list[str]:
        """What a lack of memory made smaller."""
        return list(self.weights.notices) if self.weights is not None else []


def _class(method: str) -> type:
    from pages.services.made import method_class

    return method_class(method)


def _needs(method: str) -> tuple[str, ...]:
    return _class(method).needs


def kit_of(ws: Workspace, config: RunConfig, methods: Iterable[str], *, to_train: bool = False) -> Kit:
    """Only what these methods have a field for is read; no weights and adapters where one is ``to_train``.

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
    adapters, weights = {}, None
    if "backend" in every and synthesis.pretrained.weights and not to_train:
        from pages.services.adapters import load_adapter
        from pages.services.weights import backend_runner

        weights = backend_runner(config)
        adapters = {
            name: load_adapter(ws, digest) for name, digest in synthesis.pretrained.adapters.items() if name in wanted
        }
    return Kit(shared, adapters, weights)


def kit_of_sources(sources: tuple[NgSource, ...], config: SynthesisConfig) -> Kit:
    """For methods that take real NG and nothing that must be loaded."""
    return Kit(options(config) | {"sources": sources})


def options(config: SynthesisConfig) -> dict[str, Any]:
    """Settings that methods have fields for."""
    pretrained = config.pretrained
    words = {"product": pretrained.product, "defect": pretrained.defect, "steps": pretrained.steps or None}
    return one_shot_options(config.one_shot) | words


def one_shot_options(config: OneShotConfig) -> dict[str, Any]:
    """How a real NG's defect is carried over."""
    return {
        "softness": config.softness,
        "guidance": config.guidance,
        "place": config.place,
        "turn": config.turn,
    }
