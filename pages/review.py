"""People judge good parts, synthetic NG and real NG without knowing which is which."""

import streamlit as st

from pages.services import review_store
from pages.services.blind_review import Sizes, begin
from pages.services.ledger import Ledger
from pages.services.review_state import made_from
from pages.services.steps import load_config
from pages.ui import cached, frame, review_results_view, review_view, state, widgets

ws, steps = frame.bootstrap("review")
st.markdown(
    "Decided here: **which synthetic NG look like defects to people who know the part**, and where people differ."
)
frame.stop_if_missing(steps["review"])
config = load_config(ws)
detector, synthesis = cached.detector(ws), cached.synthesis(ws)
now = review_store.current_round(ws)
fits = now is not None and now.made_from == made_from(detector.digest, config)


def begin_a_round() -> None:
    """Sizes, and the button that draws the pictures."""
    go = st.container()
    with st.expander("How many pictures"):
        columns = st.columns(4, vertical_alignment="bottom")
        ok = columns[0].number_input("Good parts, at most", 0, 500, Sizes().ok, key="review-ok")
        primary = columns[1].number_input(
            "Synthetic NG of the primary method, at most", 0, 500, config.synthesis.count, key="review-primary"
        )
        others = columns[2].number_input("Of each other method, at most", 0, 500, Sizes().others, key="review-others")
        real = columns[3].number_input("Real NG, at most", 0, 500, Sizes().real, key="review-real")
        st.caption(
            "Reviewers are not told these numbers; best they are set by somebody who does not review. Good parts and "
            "real NG stand among the synthetic NG so that nobody can guess: what is said of them changes no threshold."
        )
    if go.button("Begin the review" if now is None else "Begin a new round", type="primary", key="review-begin"):
        opened = widgets.told(
            lambda: begin(
                ws,
                detector,
                synthesis,
                config,
                sizes=Sizes(ok, primary, others, real),
                seed=config.seed,
                after=now.number if now else 0,
                now=review_view.now(),
            )
        )
        if opened is not None:
            state.put("review-sees", None)
            st.rerun()


if not fits:
    if now is None:
        st.info(
            "Nobody has reviewed yet. People who know the part judge pictures one at a time, without "
            "knowing which are good parts, synthetic NG or real NG. What it gives: synthetic NG that they call OK, or "
            "that look made to them, can leave every count, and you learn how far people agree with each other and "
            "with the detector."
        )
    else:
        st.warning(
            f"The pictures of round {now.number} are not those of this detector and these synthetic NG any more. What "
            "was judged stays on disk; begin a new round."
        )
    begin_a_round()
    st.stop()

people = {one.name: one for one in review_store.reviewers(ws, now.number)}
reviewer = state.get("reviewer")
sees = state.get("review-sees") == now.number  # this tab has the results on screen, whoever sits before it
ended = [one for one in people.values() if one.ended and one.choices]
if reviewer in people and people[reviewer].ended:
    state.put("review-sees", now.number)
    sees = True

if reviewer and not sees:
    left, right = st.columns([5, 1], vertical_alignment="center")
    left.markdown(
        f"Round {now.number}. Reviewer: **{reviewer}** (typed, unverified). You see no label, name or score, and every "
        "picture in the same size."
    )
    if right.button("Somebody else", key="review-other"):
        state.put("reviewer", None)
        st.rerun()
    records = {record.sha256: record for record in Ledger(ws).records()}
    review_view.judge(ws, now, reviewer, detector.meta["input_size"], records, synthesis)
    st.stop()

if not sees:
    st.markdown(
        f"Round {now.number} has {len(now.items)} pictures. You judge them one at a time, without knowing which is "
        "which; several people can review, each in an order of their own."
    )
    with st.form("review-name", border=True):
        typed = st.text_input("Your name", help="Typed and checked by nobody: it is recorded as unverified")
        if st.form_submit_button("Begin, or go on where I stopped", type="primary"):
            name = widgets.told(lambda: review_store.known_as(ws, now.number, typed))
            if name is not None:
                state.put("reviewer", name)
                st.rerun()
    if ended:
        st.caption(f"{len(ended)} {'person has' if len(ended) == 1 else 'people have'} ended this round.")
        if st.button("See the results without reviewing", key="review-see"):
            state.put("review-sees", now.number)
            st.rerun()
        st.caption("Who has seen the results is not blind: this tab can then review only in a new round.")
    with st.expander("Begin a new round, with other pictures or sizes"):
        begin_a_round()
    st.stop()

review_results_view.show(ws, detector, synthesis, config, running=steps["synthesis"].state == "running")
with st.expander("Begin a new round, with other pictures or sizes"):
    st.caption("Only the newest round is shown and counted. Earlier ones stay on disk.")
    begin_a_round()
