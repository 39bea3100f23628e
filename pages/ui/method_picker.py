"""Which methods make the synthetic NG: the field's paradigms and subcategories, with what runs now to be ticked."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import streamlit as st

from ias_core.synthesis.taxonomy import (
    ASBENCH,
    METHODS,
    NO_SYNTHESIS,
    PARADIGMS,
    STATUSES,
    SUBCATEGORIES,
    Method,
    Subcategory,
    of_subcategory,
)
from pages.ui import state, words

Save = Callable[[tuple[str, ...], str], None]

_KEY = "pick-method-"
_COLUMNS = 2
_PLACED_BY = {"survey": "survey", "list": "us; named by the survey's list", "ours": "us"}


def pick(
    chosen: tuple[str, ...],
    primary: str,
    *,
    save: Save,
    graded: str = "",
    also_primary: tuple[str, ...] = (),
    lacking: Mapping[str, str] | None = None,
) -> None:
    """Tick methods, and name the one that thresholds use.

    Parameters
    ----------
    chosen : tuple of str
        Registered names ticked now; at least one.
    primary : str
        Out of ``chosen`` or ``also_primary``.
    save : callable
        Gets the new ``chosen`` and ``primary`` after every change, before the page is drawn again.
    graded : str
        Made anyway and not to be ticked; "" for none.
    also_primary : tuple of str
        Other sets that may be primary, such as the mixture.
    lacking : mapping of str to str, optional
        Name -> what it needs before it can be ticked.
    """
    lacking = lacking or {}
    left, right = st.columns([5, 2], vertical_alignment="bottom")
    left.markdown(f"**{len(chosen)} chosen:** {', '.join(words.method(name) for name in chosen)}")
    state.set_widget(f"{_KEY}primary", primary)
    right.selectbox(
        "Thresholds use",
        [*chosen, *also_primary],
        format_func=words.method,
        key=f"{_KEY}primary",
        help="Rules that use synthetic NG look at this set alone; the others are shown beside it",
        on_change=lambda: save(chosen, state.widget_value(f"{_KEY}primary")),
    )
    paradigm = (
        st.segmented_control(
            "Paradigm",
            PARADIGMS,
            default=PARADIGMS[0],
            format_func=_with_count,
            key=f"{_KEY}paradigm",
            persist_state="session",
            label_visibility="collapsed",
        )
        or PARADIGMS[0]
    )
    for one in SUBCATEGORIES:
        if one.paradigm == paradigm:
            with st.container(border=True):
                _subcategory(one, chosen, primary, save, graded, lacking)


def _with_count(paradigm: str) -> str:
    n = sum(method.runs_now for method in METHODS if method.paradigm == paradigm)
    return f"{paradigm} ({n} run here)" if n else f"{paradigm} (none runs here yet)"


def _subcategory(
    one: Subcategory, chosen: tuple[str, ...], primary: str, save: Save, graded: str, lacking: Mapping[str, str]
) -> None:
    st.markdown(f"**{one.name}.** {one.good_for}")
    facts = {"In": one.inputs, "Out": one.output, "Cost": one.cost, "Control": one.control, "Trade-off": one.trade_off}
    st.caption(" · ".join(f"{what}: {how}" for what, how in facts.items()), help=one.note or None)
    methods = of_subcategory(one.key)
    names = [name for method in methods for name in (*method.registered, *method.with_weights)]
    rows = -(-len(names) // _COLUMNS)
    for column, place in enumerate(st.columns(_COLUMNS) if names else ()):
        with place.container(gap=None):
            for name in names[column * rows : (column + 1) * rows]:
                _tick(name, chosen, primary, save, graded, lacking.get(name, ""))
    others = not_to_tick(methods)
    if others:
        st.caption("  \n".join(others))  # two blanks: a line each, set closely


def _tick(name: str, chosen: tuple[str, ...], primary: str, save: Save, graded: str, lacks: str) -> None:
    key, says = f"{_KEY}{name}", words.METHOD_HELP.get(name, "")
    if name == graded:
        says = f"Made with every run: {says}"
    if lacks:
        says = f"{words.capital(lacks)}. {says}"
    state.set_widget(key, name in chosen or name == graded)
    st.checkbox(
        f"**{words.method(name)}** :gray[{lacks or says.partition(':')[0]}]",
        key=key,
        help=says or None,
        disabled=name == graded or chosen == (name,) or bool(lacks and name not in chosen),
        on_change=lambda: save(*ticked(chosen, primary, name, state.widget_value(key))),
    )


def ticked(chosen: tuple[str, ...], primary: str, name: str, on: bool) -> tuple[tuple[str, ...], str]:
    """``chosen`` with a method ticked or not, and who is primary then.

    Examples
    --------
    >>> ticked(("nsa", "pii"), "nsa", "nsa", False)
    (('pii',), 'pii')
    >>> ticked(("nsa",), "mixture", "pii", True)
    (('nsa', 'pii'), 'mixture')
    """
    rest = tuple(other for other in chosen if other != name)
    now = (*chosen, name) if on and name not in chosen else chosen if on else rest
    return now, now[0] if primary == name and not on else primary


def not_to_tick(methods: Sequence[Method]) -> list[str]:
    """One line for each reason why methods cannot be ticked, with those it holds for."""
    lines: dict[str, list[str]] = {}
    for method in methods:
        uses = [what for what, by in (("ruler", method.rulers), ("second opinion", method.discriminators)) if by]
        reason = f"in feature space, without pictures: {' and '.join(uses)}" if uses else method.missing
        if not reason or method.with_weights:  # such methods have boxes of their own
            continue
        if method.needs_ng in ("1", "few", "many") and "real NG" not in reason:
            reason += f"; needs {method.needs_ng} real NG"
        lines.setdefault(reason, []).append(method.name)
    return [f"**{', '.join(names)}**: {reason}" for reason, names in lines.items()]


def table() -> None:
    """Every named method of the field, sortable, with what the sources say of it."""
    rows = pd.DataFrame([_row(method) for method in METHODS])
    wide = st.column_config.TextColumn(width="large")
    st.dataframe(
        rows,
        hide_index=True,
        alt=f"{len(rows)} methods of the field",
        column_config={
            "method": st.column_config.TextColumn(pinned=True),
            "year": st.column_config.NumberColumn(format="%d"),
            "good for": wide,
            "not here because": wide,
            "mind": wide,
        },
    )
    st.caption("Columns sort by a click; the table is saved by the symbol at its upper right corner.")
    for fact in ASBENCH:
        st.caption(fact)
    others = ", ".join(f"{name} ({what})" for name, what in NO_SYNTHESIS.items())
    st.caption(f"Named in the sources and no synthesis: {others}.")


def _row(method: Method) -> dict[str, object]:
    made = method.made_here
    return {
        "method": method.name,
        "year": method.year,
        "venue": method.venue,
        "paradigm": method.paradigm,
        "subcategory": next(one.name for one in SUBCATEGORIES if one.key == method.subcategory),
        "runs here": method.runs_now,
        "good for": method.good_for,
        "not here because": method.missing,
        "mind": method.warning,
        "real NG needed": method.needs_ng,
        "masks of real NG needed": method.needs_mask,
        "words needed": method.needs_prompt,
        "weights": method.needs_weights,
        "device": method.device,
        "minutes": method.minutes or "unknown",
        "output": method.output,
        "cost": method.cost,
        "control": method.control,
        "status": "; ".join(STATUSES[letter] for letter in method.status),
        "placed by": _PLACED_BY[method.placement_source],
        "also called": ", ".join(method.names[1:]),
        "names here": ", ".join(made),
    }
