"""Shares of a mixture: which methods, and how many of a hundred pictures each makes."""

from dataclasses import replace

import streamlit as st

from pages.services.settings import MIXTURE, SynthesisConfig
from pages.ui import words

_EQUAL = 10.0


def show(config: SynthesisConfig, methods: tuple[str, ...]) -> SynthesisConfig:
    """The mixture's methods and shares; returns the settings with them.

    Parameters
    ----------
    methods : tuple of str
        Those that may take part.
    """
    st.caption(
        "No method is best everywhere, and a mixture usually beats its parts (ASBench). The mixture is one more set, "
        f"of {config.count} pictures in all."
    )
    picked = st.multiselect(
        "Methods in the mixture",
        [*methods, *(name for name in config.mixture if name not in methods)],
        default=list(config.mixture),
        format_func=words.method,
        key="mixture-methods",
        help="leave it empty for no mixture",
    )
    shares: dict[str, float] = {}
    for k, name in enumerate(picked):
        if k % 4 == 0:
            row = st.columns(4)
        shares[name] = row[k % 4].number_input(
            words.method(name), 1.0, 100.0, config.mixture.get(name, _EQUAL), step=1.0, key=f"mixture-share-{name}"
        )
    total = sum(shares.values())
    if shares:
        parts = ", ".join(f"{100 * share / total:.0f} % {words.method(name)}" for name, share in shares.items())
        st.caption(f"That is {parts}.")
    primary = config.primary
    if primary == MIXTURE and not shares:
        primary = config.methods[0]
    return replace(config, mixture=shares, primary=primary)
