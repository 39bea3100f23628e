"""Signing by OpenID Connect: nobody signs without a fresh sign-in, nor as what their role does not allow."""

import time

import pytest
from streamlit.testing.v1 import AppTest

from pages.services.artifacts import DETECTOR, load_result
from pages.services.records import entries_of, newest
from pages.services.verification import verify
from tests.app.browse import APP, button_of, text_of

QM = {"email": "qm@example.com", "name": "山田 太郎", "sub": "42", "iss": "https://id.example"}
AUTH = {"redirect_uri": "http://localhost/oauth2callback", "cookie_secret": "x"}


@pytest.fixture
def sign_off(ws, fix):
    """``sign_off(claims, roles)``: the page as a person sees it who has these claims; None is nobody."""
    decision, _ = fix()
    verify(ws, load_result(ws, DETECTOR), decision)

    def opened(claims: dict | None, roles: dict | None = None):
        page = AppTest.from_file(APP, default_timeout=60).switch_page("pages/sign_off.py")
        page.secrets["auth"] = AUTH
        if roles:
            page.secrets["roles"] = roles
        if claims is not None:
            page.user = {"is_logged_in": True, **claims}
        page.run()
        assert not page.exception
        return page

    return opened


def fresh() -> dict:
    return QM | {"iat": time.time() - 5, "exp": time.time() + 3600}


def test_signed_by_the_person_that_the_provider_names(ws, sign_off):
    page = sign_off(fresh(), {"calibrated": ["QM@example.com"], "approved": ["qm@example.com"]})
    assert "Signed in as **山田 太郎** (qm@example.com), by https://id.example" in text_of(page)
    assert page.selectbox[0].options == ["calibrated", "approved"]
    page.text_area(key="sign-reason").set_value("looked at every missed part")
    button_of(page, "Sign").click().run()
    (signature,) = newest(entries_of(ws)).signatures
    assert signature.body["signed_by"] == "山田 太郎" and signature.body["role"] == "calibrated, approved"
    assert signature.body["identity"] == {
        "how": "OpenID Connect",
        "issuer": "https://id.example",
        "subject": "42",
        "email": "qm@example.com",
    }


@pytest.mark.parametrize(
    ("claims", "roles", "expected"),
    [
        (None, None, "Sign in to sign."),
        ({"iat": 0}, None, "does not say when you signed in"),
        ({"iat": -3600}, None, "You signed in more than 10 minutes ago"),
        ({"exp": -1}, None, "Your sign-in has expired"),
        ({"sub": ""}, None, "issuer and subject"),
        ({}, {"approved": ["other@example.com"]}, "You have no role that signs"),
        ({}, {"boss": ["qm@example.com"]}, "got 'boss'"),
    ],
)
def test_others_see_why_and_no_form(ws, sign_off, claims, roles, expected):
    """Times are seconds from now; an ``iat`` of 0 stands for none."""
    if claims is not None:
        times = {key: time.time() + claims[key] for key in ("iat", "exp") if claims.get(key)}
        claims = {key: value for key, value in (fresh() | claims | times).items() if value != 0}
    page = sign_off(claims, roles)
    assert expected in text_of(page)
    assert "sign-reason" not in [one.key for one in page.text_area] and not [
        one for one in page.button if one.label == "Sign"
    ]
    assert not [one for one in page.text_input if one.label == "Printed name"]
    assert entries_of(ws) == ()
