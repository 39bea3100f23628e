"""Quality control on screen: filters to switch, verdicts by method, and what each filter does to the numbers."""

from typing import Any

import pandas as pd
import streamlit as st

from pages.services import control
from pages.services.artifacts import DetectorResult, SynthesisResult
from pages.services.filters import Effect, effects, switch_filters
from pages.services.quality import CANNOT_TELL, decided, kept, why_none
from pages.services.settings import FILTERS, RunConfig
from pages.services.workspace import Workspace
from pages.ui import state, widgets, words

TITLES = {"null": "Not seen where it lies", "artefact": "Border gives it away", "duplicate": "Near-duplicate"}
_HELP = {
    "null": "Rejects a picture whose patch scores move no more than rounding its grey levels moves them, or move most "
    "away from the mask. Up or down counts as moving: a defect that lowers the scores is a miss, and misses stay.",
    "artefact": "Rejects a picture whose border looks less like a good part than every good part's own picture there, "
    "where the borders of its method are told from good parts at all.",
    "duplicate": "Rejects a picture that changes the same part in the same place, by the same shape and strength, as "
    "an earlier one that is kept.",
}


def show(
    ws: Workspace, detector: DetectorResult, result: SynthesisResult, config: RunConfig, *, running: bool = False
) -> None:
    """The whole block; ``running``: synthetic NG are being made, so nothing can be switched."""
    judged = {name: facts for name, facts in result.meta["methods"].items() if "quality" in facts}
    st.markdown(
        "Which synthetic NG count? Three filters judge each picture. Rejected ones stay in the gallery with the "
        "reason and count in no rule, curve or figure."
    )
    for name, column in zip(FILTERS, st.columns(len(FILTERS)), strict=True):
        key = f"filter-{name}"
        state.set_widget(key, name in config.synthesis.filters)  # another tab may have switched it
        column.toggle(
            f"Reject: {TITLES[name].lower()}",
            key=key,
            help=_HELP[name],
            disabled=running,
            on_change=_switch,
            args=(ws, detector, config, name),
        )
    if not judged:
        st.info("These synthetic NG were made before quality control was there: make them again to have them judged.")
        return
    for name, facts in judged.items():
        if not kept(facts).any():
            st.warning(f"{words.capital(words.in_sentence(why_none(facts, name)))}: the method has no voice.")
        if "control" in facts:
            st.caption(f"{words.method(name)}. {control.sentence(facts['control'])}")
    _verdicts(result, judged)
    _effects(detector, result, config)


def marks(facts: dict[str, Any]) -> list[str]:
    """For the gallery: "kept", or why it is rejected, for each picture of a method.

    Examples
    --------
    >>> marks({"severities": [0.5, 0.5], "rejected": ["", "near-duplicate of stain-000"]})
    ['kept', 'rejected: near-duplicate of stain-000']
    """
    rejected = facts.get("rejected", [""] * len(facts["severities"]))
    return [f"rejected: {reason}" if reason else "kept" for reason in rejected]


def _switch(ws: Workspace, detector: DetectorResult, config: RunConfig, name: str) -> None:
    on = {other: other in config.synthesis.filters for other in FILTERS}
    on[name] = state.widget_value(f"filter-{name}")
    chosen = [other for other in FILTERS if on[other]]
    widgets.told(lambda: switch_filters(ws, detector, config, chosen))


def _verdicts(result: SynthesisResult, judged: dict[str, dict[str, Any]]) -> None:
    st.markdown("##### What the filters find")
    rows = []
    for method, facts in judged.items():
        border = facts["quality"]["border"]
        area = f"{border['auroc']:.2f} ({border['low']:.2f} to {border['high']:.2f})" if "auroc" in border else "-"
        alone = {name: decided(facts["quality"], (name,), result.sets[method].ids)["filters"][name] for name in FILTERS}
        rows.append(
            {
                "synthetic NG": words.method(method),
                "count": f"{kept(facts).sum()} of {len(kept(facts))}",
                **{TITLES[name].lower(): alone[name] for name in FILTERS},
                "borders": border["verdict"],
                "AUROC of borders (95 %)": area,
                "p": border.get("p"),
            }
        )
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "count": st.column_config.TextColumn(help="with the filters in force"),
            **{
                title.lower(): st.column_config.NumberColumn(help="what this filter alone would reject")
                for title in TITLES.values()
            },
            "p": st.column_config.NumberColumn(format="%.3f", help="chance of as much if borders were like good parts"),
        },
    )
    few = any(facts["quality"]["border"]["verdict"] == CANNOT_TELL for facts in judged.values())
    st.caption(
        "Borders: can a simple classifier tell the ring along the mask's border from the same ring on another good "
        "part? AUROC 0.5: no. It is tested on parts it did not learn from; of 20 methods whose borders are like good "
        "parts, one is accused by chance. For a scratch, a crack or a chip **the border is the defect itself**, and "
        "telling it is no fault. For a stain or a patch it means that the seam is easier to see than the defect, "
        "which may make synthetic NG easier than real ones."
        + (" To tell anything it takes synthetic NG on at least 12 good parts." if few else "")
    )


def _effects(detector: DetectorResult, result: SynthesisResult, config: RunConfig) -> None:
    primary = words.method(result.meta["primary"])
    st.markdown(f"##### What each filter does to the numbers of the primary method ({primary})")
    found = effects(detector, result, config)
    st.dataframe(
        pd.DataFrame([_row(effect, in_force=effect.filters == config.synthesis.filters) for effect in found]),
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="%.3f", help="feature distance")
            for name in ("Youden threshold", "recommended threshold")
        }
        | {"caught there (95 %)": st.column_config.TextColumn(help="synthetic NG at the recommended threshold")},
    )
    for why in dict.fromkeys(effect.why for effect in found if effect.why):
        st.caption(why)
    st.caption(
        f"The filter “{TITLES['null']}” takes out what the detector cannot see, so it **raises the synthetic recall "
        "by construction**. It is kept as narrow as it can be: only what moves the scores no more than the last digit "
        "of an 8-bit picture goes. The recommended threshold comes from good parts alone: synthetic NG can veto it "
        "and never move it, so filters move only Youden's threshold, the AUROC and the recall."
    )


def _row(effect: Effect, *, in_force: bool) -> dict[str, Any]:
    names = ", ".join(TITLES[name].lower() for name in effect.filters) or "none"
    area = effect.area
    return {
        "filters": f"{names} (in force)" if in_force else names,
        "count": f"{effect.kept} of {effect.made}",
        "AUROC (95 %)": f"{area.auroc:.3f} ({area.low:.3f} to {area.high:.3f})" if area else "-",
        "Youden threshold": effect.youden,
        "recommended threshold": effect.recommended,
        "caught there (95 %)": _caught(effect),
    }


def _caught(effect: Effect) -> str:
    if not effect.kept:
        return "none left"
    caught = effect.caught
    return f"{caught.k} of {caught.n} (at least {widgets.percent(caught.low)})" if caught else "-"
