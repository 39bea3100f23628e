"""The user's diffusion weights: name them, see what they are and what this machine can do with them, then use them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from ias_core.errors import IasError
from ias_core.synthesis.pretrained.plans import gib
from ias_core.synthesis.pretrained.weights import LAYOUT
from pages.services import jobs, weights
from pages.services.settings import PretrainedConfig, RunConfig
from pages.services.weights import Outlook
from pages.services.workspace import Workspace
from pages.ui import cached, state, widgets, words

Save = Callable[..., None]

_KEY = "weights-"
_LOOKED, _HELD = "weights-looked-at", "weights-held"
_LABELS = {"weights": "Diffusion weights", "controlnet": "ControlNet", "ip_adapter": "IP-Adapter"}
_HELP = {
    "weights": "A folder of the machine the app runs on, as diffusers saves it, or a hub id that lies in its cache",
    "controlnet": "Optional: a folder with config.json and diffusion_pytorch_model.safetensors, made for the same "
    "Stable Diffusion. TF-IDG uses one for edges",
    "ip_adapter": "Optional: its .safetensors file, with the folder image_encoder beside it. TF-IDG shows it the NG. "
    "Methods that cannot use it will not run while it is loaded",
}
_RUNS_ON = {"cuda": "GPU", "mps": "Apple GPU", "cpu": "CPU"}
_OFFLOAD = {"none": "all parts at once", "model": "part by part", "sequential": "layer by layer"}


def show(ws: Workspace, config: RunConfig, save: Save) -> None:
    """Ask for weights and words; nothing is used before somebody has looked at it and confirmed.

    Parameters
    ----------
    ws : Workspace
    config : RunConfig
    save : callable
        ``save(name=value, ...)`` keeps fields of ``config.synthesis.pretrained``; the page is drawn again afterwards.
    """
    pretrained = config.synthesis.pretrained
    st.markdown(
        "Some methods paint with **diffusion weights that you bring**. Nothing is downloaded, and no picture leaves "
        "this machine. Without weights, every other method works as before."
    )
    places = _places(pretrained)
    looked = st.button("Look at them", disabled=not places["weights"], key=f"{_KEY}look")
    if looked:
        state.put(_LOOKED, places)
    _in_use(pretrained, save)
    if not places["weights"]:
        _what_to_put_where()
    elif state.get(_LOOKED) == places:
        asked = replace(pretrained, **places)
        with st.spinner("Reading what they are, asking the machine what it has free..."):
            found = weights.outlook(asked, have := weights.hardware(config.detector.device))
        _told(found, have.name, have.free_bytes if have.device != "cpu" else have.ram_bytes)
        if not found.wrong:
            _use(pretrained, places, save)
            _test(ws, asked, found)
    _words(pretrained, save)


def _places(pretrained: PretrainedConfig) -> dict[str, str]:
    """What stands in the three fields."""
    columns = st.columns([2, 1, 1])
    return {
        name: column.text_input(
            label,
            getattr(pretrained, name),
            key=f"{_KEY}{name}",
            persist_state="session",
            placeholder="a folder, or a hub id" if name == "weights" else "empty: none",
            help=_HELP[name],
        ).strip()
        for column, (name, label) in zip(columns, _LABELS.items(), strict=True)
    }


def _in_use(pretrained: PretrainedConfig, save: Save) -> None:
    if not pretrained.weights:
        return
    named = [getattr(pretrained, name) for name in weights.PLACES if getattr(pretrained, name)]
    left, right = st.columns([5, 1], vertical_alignment="center")
    left.caption(f"In use: {', '.join(f'`{place}`' for place in named)}")
    right.button(
        "Use none", key=f"{_KEY}none", on_click=lambda: save(**dict.fromkeys(weights.PLACES, "")), width="stretch"
    )


def _what_to_put_where() -> None:
    st.info(
        "No weights are named. Copy a folder of Stable Diffusion 1.5, 2 or XL onto the machine the app runs on, for "
        "text to image or for inpainting, and name it above. A look at it says which methods it makes possible. It is "
        "laid out like this:"
    )
    st.code(LAYOUT, language=None)
    st.caption(
        "Where there is a network, `hf download OWNER/NAME --local-dir my-weights` fetches such a folder. Only "
        "safetensors files are loaded: the older .bin and .ckpt files may run any program when they are opened. Mind "
        "the licence of the weights."
    )


def _told(found: Outlook, machine: str, free_bytes: int) -> None:
    """What they are, what is wrong, how they would be loaded, and what they make possible."""
    for sentence in found.wrong:
        st.error(sentence)
    for command in (facts["command"] for facts in found.facts.values() if facts["command"]):
        st.code(command, language="bash", wrap_lines=True)
    for name, facts in found.facts.items():
        _facts(_LABELS[name], facts)
    if found.plan is None:
        return
    planned = found.plan
    with st.container(border=True):
        columns = st.columns(4)
        columns[0].metric(
            "Needs about",
            gib(planned.needs_bytes),
            help="Estimate: the weights, and one picture at a time beside them. Training takes more, which is not "
            "estimated",
        )
        columns[1].metric("Free now", gib(free_bytes), help=machine)
        columns[2].metric("Runs on", _RUNS_ON[planned.device], help=f"{planned.dtype}, {_OFFLOAD[planned.offload]}")
        columns[3].metric("Picture", f"{planned.side_px} px", help="The size that these weights were trained for")
        for sentence in planned.why:
            st.markdown(f"- {sentence}")
        if planned.minutes is not None and planned.minutes[1] >= 1:
            st.warning("Without a GPU this works, but is slow: make a few pictures first.")
    _methods(found.methods)


def _facts(label: str, facts: dict[str, Any]) -> None:
    with st.container(border=True):
        told = [f"U-Net with {facts['channels']} channels"] if facts["channels"] else []
        told += [f"made for {facts['side_px']} px"] if facts["side_px"] else []
        told += [f"{gib(facts['bytes'])} on disk"] if facts["bytes"] else []
        st.markdown(f"**{label}: {facts['what'] or 'not recognised'}**  \n:gray[{' · '.join(told)}]")
        for note in facts["notes"]:
            st.caption(note)
        if facts["parts"]:
            with st.expander(f"Parts ({len(facts['parts'])})"):
                st.dataframe(
                    pd.DataFrame([_row(part) for part in facts["parts"]]),
                    hide_index=True,
                    alt=f"{len(facts['parts'])} parts of {facts['what']}",
                )
                st.caption(f"Read from `{facts['folder']}`")


def _row(part: dict[str, Any]) -> dict[str, Any]:
    return {
        "part": part["name"],
        "files": ", ".join(part["files"]),
        "size": gib(part["bytes"]) if part["bytes"] else "",
        "million weights": round(part["parameters"] / 1e6, 1) if part["parameters"] else None,
        "stored as": ", ".join(part["stored"]),
    }


def _methods(methods: dict[str, str]) -> None:
    possible = [name for name, why in methods.items() if not why]
    left, right = st.columns(2)
    left.markdown(
        f"**{len(possible)} of {len(methods)} methods are possible:** "
        + (", ".join(words.method(name) for name in possible) or "none")
    )
    with right:
        for why in methods.values():
            if why:
                st.caption(f"{words.in_sentence(why)}.")


def _use(pretrained: PretrainedConfig, places: dict[str, str], save: Save) -> None:
    if any(getattr(pretrained, name) != place for name, place in places.items()):
        st.button("Use these weights", type="primary", key=f"{_KEY}use", on_click=lambda: save(**places))


def _test(ws: Workspace, asked: PretrainedConfig, found: Outlook) -> None:
    """One step in this process: whether they draw at all, before a job of many minutes."""
    busy = bool(jobs.active(ws))
    left, right = st.columns([1, 1])
    pressed = left.button(
        "Test the weights",
        disabled=busy,
        key=f"{_KEY}test",
        help="Reads them all, loads them and denoises one small picture in one step"
        + (". A job is running now and may need the memory" if busy else ""),
    )
    if pressed:
        tested = widgets.told(lambda: _one_step(asked, found))
        if tested is not None:
            digest, trial, used, notices = tested
            state.put(_HELD, True)
            for notice in notices:
                st.warning(notice)
            held = "The process held" if used.device == "cpu" else "The GPU held"
            st.success(
                f"One step at {trial.side_px} px took {trial.seconds:.1f} s. {held} {gib(trial.peak_bytes)} at most."
            )
            st.caption(f"sha256 of all files: `{digest}`")
    if state.get(_HELD):
        right.button("Free their memory", key=f"{_KEY}free", on_click=_free)


def _one_step(asked: PretrainedConfig, found: Outlook) -> tuple:
    with st.spinner("Reading all files once..."):
        digest = weights.digest_of(asked)

    def load(planned: Any) -> Any:
        return cached.backend(digest, weights.plan_key(planned), lambda: weights.load(asked, planned, digest))

    try:
        return digest, *weights.tested(load, found.plan)
    except IasError:
        cached.free_backends()  # released on the way, and useless to the next who asks
        raise


def _free() -> None:
    cached.free_backends()
    state.put(_HELD, False)


def _words(pretrained: PretrainedConfig, save: Save) -> None:
    st.markdown("**Words and steps**")
    product, defect, steps = st.columns(3)
    for column, name, label, blank in (
        (product, "product", "The product is a", "part"),
        (defect, "defect", "The defect is a", "defect"),
    ):
        key = f"{_KEY}{name}"
        column.text_input(
            label,
            getattr(pretrained, name),
            key=key,
            max_chars=60,
            on_change=lambda key=key, name=name, blank=blank: save(**{name: state.widget_value(key).strip() or blank}),
            help="In English, for the prompt 'a photo of a PRODUCT with a DEFECT'",
        )
    steps.number_input(
        "Steps of denoising",
        0,
        1000,
        pretrained.steps,
        key=f"{_KEY}steps",
        on_change=lambda: save(steps=int(state.widget_value(f"{_KEY}steps"))),
        help="More is slower; 0: as each method has it, 20 to 100",
    )
