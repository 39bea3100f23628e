"""Identities: who a token names, how long it is good for a signature, and what a role may sign."""

import pytest

from ias_core.errors import IasError
from pages.services.records import MEANINGS, OIDC, Identity
from pages.services.signers import FRESH_S, allowed, identity_of, why_too_old

CLAIMS = {"sub": "42", "iss": "https://id.example", "name": "山田 太郎", "email": "y@example.com"}


def test_identity_comes_from_the_token():
    assert identity_of(CLAIMS) == Identity("山田 太郎", OIDC, "https://id.example", "42", "y@example.com")
    assert identity_of({"sub": "42", "iss": "i"}).name == "42"
    for missing in ("sub", "iss"):
        with pytest.raises(IasError, match="issuer and subject"):
            identity_of(CLAIMS | {missing: None})


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"exp": 5000, "auth_time": 1000}, ""),
        ({"exp": 5000, "iat": 1000 - FRESH_S}, "more than 10 minutes ago"),
        ({"exp": 5000, "iat": 1000, "auth_time": 0}, "more than 10 minutes ago"),  # a renewed token is no new sign-in
        ({"exp": 1001, "iat": 1000}, "expired"),
        ({"iat": 1000}, "does not say when"),
        ({"exp": 5000}, "does not say when"),
        ({"exp": "soon", "iat": 1000}, "does not say when"),
    ],
)
def test_an_old_sign_in_is_no_signature(claims, expected):
    found = why_too_old(claims, now_s=1001)
    assert expected in found and bool(found) == bool(expected)


def test_roles():
    person = Identity("A", OIDC, "i", "s", "qm@example.com")
    assert allowed({}, person) == MEANINGS
    assert allowed({"approved": ["QM@example.com"], "calibrated": ["x@y"]}, person) == ("approved",)
    assert allowed({"approved": [""]}, Identity("A", OIDC, "i", "s")) == ()
    with pytest.raises(IasError, match="'aproved'"):
        allowed({"aproved": ["qm@example.com"]}, person)
