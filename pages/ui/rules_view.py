"""Every rule on the thresholds page: one table to compare, one card each to understand."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from calibration.evidence import Evidence
from calibration.rules import RULES, title_of
from calibration.types import ThresholdChoice
from pages.ui import theme, widgets, words

KINDS = {
    "bound": "a bound with a confidence",
    "mean": "a rate on average over calibrations",
    "model": "a rate, if its model holds",
    "none": "no rate of rejected good parts",
}


@dataclass(frozen=True, slots=True)
class Card:
    """A rule's row, with what it does to the synthetic NG that rules use and the class of its evidence."""

    choice: ThresholdChoice
    caught: str
    evidence: Evidence


def table(choices: tuple[ThresholdChoice, ...]) -> None:
    """One row per rule, refusals included; sortable and downloadable."""
    rows = [
        {
            "rule": title_of(c),
            "threshold": c.value,
            "expects to reject": None if _mean(c) is None else 100 * _mean(c),
            "at most (95 %)": None if c.fpr_upper_95 is None else 100 * c.fpr_upper_95,
            "set on": set_on(c),
            "in words": c.promise or f"no threshold: {c.reason}",
        }
        for c in choices
    ]
    percent = st.column_config.NumberColumn(format="%.2f %%", width=110, help="share of good parts rejected")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "rule": st.column_config.TextColumn(width=220),
            "threshold": st.column_config.NumberColumn(format="%.3f", width=75, help="feature distance"),
            "expects to reject": percent,
            "at most (95 %)": percent,
            "set on": st.column_config.TextColumn(width=150),
            "in words": st.column_config.TextColumn(width=310),
        },
    )


def set_on(choice: ThresholdChoice) -> str:
    return f"{choice.n_ok} {words.OK_SOURCES[choice.source]}" + (f", {choice.n_ng} synthetic NG" if choice.n_ng else "")


def cards(
    found: list[Card],
    recommended: ThresholdChoice,
    take: Callable[[ThresholdChoice, str], None],
    *,
    footer: str,
) -> None:
    """A card per rule, two in a row: what it assumes and promises, the least n, its numbers, a button to take it."""
    opened = st.toggle("Open every card", key="rule-cards-open", persist_state="session")
    columns = st.columns(2)
    for place, card in enumerate(found):
        with columns[place % 2].expander(_headline(card.choice, recommended), expanded=opened):
            _card(card)
            if card.choice.value is not None:
                st.button(
                    "Use this threshold",
                    key=f"use-{place}",
                    on_click=take,
                    args=(card.choice, "recommended" if card.choice == recommended else "rule"),
                )
    st.caption(footer)


def _mean(choice: ThresholdChoice) -> float | None:
    """Mean FPR to be expected; a rule that searched OK and NG scores promises none, and its own figure is too low."""
    return None if RULES[choice.rule].kind == "none" else choice.expected_fpr


def _headline(choice: ThresholdChoice, recommended: ThresholdChoice) -> str:
    value = "no threshold" if choice.value is None else f"{choice.value:.3f}"
    return f"{title_of(choice)}: {value}{'  (recommended)' if choice == recommended else ''}"


def _card(card: Card) -> None:
    choice, rule = card.choice, RULES[card.choice.rule]
    if choice.value is None:
        st.markdown(f"**No threshold:** {choice.reason}.")
    else:
        st.markdown(f"**Promise:** {choice.promise}.")
        limit = f"95 %: at most {widgets.percent(choice.fpr_upper_95)} of good parts rejected"
        mean = f"; on average {widgets.percent(_mean(choice))}" if _mean(choice) is not None else ""
        st.markdown(f"**Good parts:** {limit}{mean}.  \n**Synthetic NG:** {card.caught}")
        found = card.evidence
        st.html(theme.evidence_chip(words.EVIDENCE_LOOKS[found.key], f"Evidence {found.key}: {found.title}"))
    asked = f"**Assumes:** {rule.assumes}.  \n**Kind of promise:** {KINDS[rule.kind]} ({rule.promises})."
    st.markdown(f"{asked}  \n**Needs:** at least {rule.least_n} OK scores. **Set on:** {set_on(choice)}.")
    settings = ", ".join(f"{name} {_shown(value)}" for name, value in choice.params.items())
    notes = "".join(f" {words.capital(note)}." for note in choice.notes)
    st.caption(f"{settings}.{notes}" if settings else notes)


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
