"""Who sits in front of this browser: by OpenID Connect where it is configured, else a name that is typed."""

import time

import streamlit as st

from ias_core.errors import IasError
from pages.services import signers
from pages.services.records import MEANINGS, Identity


def ask() -> tuple[Identity | None, tuple[str, ...]]:
    """Draw what is needed to know who signs; returns the identity, if it is known, and what it may sign as."""
    if not _configured():
        name = st.text_input("Printed name", key="signer", persist_state="session")
        st.caption("No identity provider is configured: the name is typed, and the record calls it unverified.")
        return Identity(name), MEANINGS
    if not st.user.get("is_logged_in", False):
        st.info("Sign in to sign.")
        st.button("Sign in", on_click=st.login)
        return None, ()
    claims = st.user.to_dict()
    try:
        identity = signers.identity_of(claims)
        may = signers.allowed(_roles(), identity)
    except IasError as error:
        st.error(str(error))
        return None, ()
    st.markdown(f"Signed in as **{identity.name}** ({identity.email or identity.subject}), by {identity.issuer}")
    if old := signers.why_too_old(claims, now_s=time.time()):
        st.warning(f"{old[0].upper()}{old[1:]}: sign in again to sign.")
        st.button("Sign in again", on_click=st.logout)
        return None, ()
    if not may:
        st.warning("You have no role that signs; roles stand in the section [roles] of .streamlit/secrets.toml.")
    return identity, may


def _configured() -> bool:
    return st.secrets.load_if_toml_exists() and "auth" in st.secrets


def _roles() -> dict[str, list[str]]:
    return {name: list(mails) for name, mails in st.secrets.get("roles", {}).items()}
