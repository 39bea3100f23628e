"""Who may sign as what: identities from an OpenID Connect provider, or typed names that nobody checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ias_core.errors import IasError
from pages.services.records import MEANINGS, OIDC, Identity

FRESH_S = 600  # a signature asks for a sign-in no older than this: ours; a cookie of 30 days is no signature


def identity_of(claims: Mapping[str, Any]) -> Identity:
    """Identity from the claims of an ID token.

    Raises
    ------
    IasError
        The token names no person: no subject, or no issuer.
    """
    subject, issuer = str(claims.get("sub") or ""), str(claims.get("iss") or "")
    if not subject or not issuer:
        raise IasError("expected an identity with issuer and subject, the provider gave none: ask your administrator")
    email = str(claims.get("email") or "")
    return Identity(str(claims.get("name") or email or subject), OIDC, issuer, subject, email)


def why_too_old(claims: Mapping[str, Any], *, now_s: float) -> str:
    """Why a sign-in cannot stand for a signature now; "" where it can. Streamlit itself checks no expiry.

    ``now_s``: seconds since 1970.

    Examples
    --------
    >>> why_too_old({"exp": 2000, "auth_time": 1500}, now_s=1600), why_too_old({"exp": 1550, "iat": 1500}, now_s=1600)
    ('', 'your sign-in has expired')
    """
    expires, since = claims.get("exp"), claims.get("auth_time", claims.get("iat"))
    if not isinstance(expires, int | float) or not isinstance(since, int | float):
        return "your identity provider does not say when you signed in"
    if expires <= now_s:
        return "your sign-in has expired"
    if now_s - since > FRESH_S:
        return f"you signed in more than {FRESH_S // 60} minutes ago"
    return ""


def allowed(roles: Mapping[str, Sequence[str]], identity: Identity) -> tuple[str, ...]:
    """Meanings that a person may sign as.

    Parameters
    ----------
    roles : mapping
        Meaning -> e-mail addresses, as in the section ``[roles]`` of ``.streamlit/secrets.toml``; empty: no roles are
        set, and everybody may sign as anything.

    Raises
    ------
    IasError
        A role that is no meaning of a signature: a misspelt one would shut everybody out of it.

    Examples
    --------
    >>> allowed({"approved": ["qm@example.com"]}, Identity("A", OIDC, "i", "s", "QM@example.com"))
    ('approved',)
    """
    if unknown := sorted(set(roles) - set(MEANINGS)):
        raise IasError(f"section [roles]: expected some of {', '.join(MEANINGS)}, got {unknown[0]!r}: correct it")
    if not roles:
        return MEANINGS
    mine = identity.email.casefold()
    return tuple(one for one in MEANINGS if mine and mine in {str(mail).casefold() for mail in roles.get(one, ())})
