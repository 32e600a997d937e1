# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of the service, as a browser gets them."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

from ansible_collections.egi.notebooks.plugins.module_utils.web import Answer, Web, WebError
from ansible_collections.egi.notebooks.plugins.modules import service_info as module

ISSUER = "https://aai-demo.egi.eu/auth/realms/egi"
AUTHORIZE = f"{ISSUER}/protocol/openid-connect/auth"
HOME = "https://n.example.org"
CALLBACK = f"{HOME}/hub/oauth_callback"
OPTIONS = {
    "domain": "n.example.org",
    "issuer": f"{ISSUER}/",
    "authorize_url": AUTHORIZE,
    "client_id": "x",
    "callback_url": CALLBACK,
}
LOGIN = {"client_id": "x", "redirect_uri": CALLBACK, "code_challenge_method": "S256", "state": "secret"}
#: What a service that works returns, by URL: status, body, Location.
WORKING = {
    "http://n.example.org/": (308, "", f"{HOME}/"),
    f"{HOME}/hub/login": (200, '<a href="/hub/oauth_login">', ""),
    f"{HOME}/hub/oauth_login": (302, "", f"{AUTHORIZE}?{urlencode(LOGIN)}"),
    f"{ISSUER}/.well-known/openid-configuration": (200, f'{{"authorization_endpoint": "{AUTHORIZE}"}}', ""),
}
REDIRECT, PAGE, OAUTH, DISCOVERY = WORKING


@pytest.fixture
def ask(run, monkeypatch):
    """Return a function that gives the module's answer where the service returns these pages."""
    monkeypatch.setattr(module, "PAUSE", 0.01)

    def call(pages=(), **options):
        known = WORKING | dict(pages)
        call.asked = []

        def answer(web, method, url, accept):
            call.asked.append(url)
            page = known[url]
            page = page.pop(0) if isinstance(page, list) else page
            if page is None:
                raise WebError(f"{method} {url} got no answer (timed out)")
            status, body, location = page
            return Answer(method, url, status, {"Location": location} if location else {}, body.encode())

        monkeypatch.setattr(Web, "ask", answer)
        found = run(module, ca_path=None, **OPTIONS | options)
        assert not found.get("failed")
        assert not found["changed"]
        assert "secret" not in str({key: value for key, value in found.items() if key != "invocation"})
        return found

    return call


@pytest.mark.parametrize("location", [f"{HOME}/", f"{HOME}:443/", HOME])
def test_a_service_that_works_has_no_fault(ask, location):
    found = ask({REDIRECT: (301, "", location)})
    assert found["faults"] == []
    assert found["results"]["login"] == {"status": 302, "location": AUTHORIZE, "reason": ""}
    assert list(found["results"]) == ["redirect", "login_page", "login", "discovery"]


def query(**changes) -> str:
    return f"{AUTHORIZE}?{urlencode({key: value for key, value in (LOGIN | changes).items() if value})}"


@pytest.mark.parametrize(
    ("url", "page", "fault"),
    [
        (REDIRECT, (200, "", ""), f"{REDIRECT} returns 200; must redirect to {HOME} for good (301 or 308)."),
        (REDIRECT, (308, "", "https://else.org/"), f"{REDIRECT} returns 308 and redirects to https://else.org/; must"),
        (REDIRECT, (308, "", f"{HOME}.else.org/"), f"{REDIRECT} returns 308 and redirects to {HOME}.else.org/; must"),
        (REDIRECT, None, f"GET {REDIRECT} got no answer (timed out)."),
        (PAGE, (503, "", ""), f"{PAGE} returns 503."),
        (PAGE, None, f"GET {PAGE} got no answer (timed out)."),
        (PAGE, (200, "Sign in by PAM", ""), f"{PAGE} offers no login by Check-in."),
        (OAUTH, (404, "", ""), f"{OAUTH} returns 404; must redirect to {AUTHORIZE}."),
        (
            OAUTH,
            (302, "", "https://else.org/?a=secret"),
            f"{OAUTH} returns 302 and redirects to https://else.org/; must",
        ),
        (OAUTH, None, f"GET {OAUTH} got no answer (timed out)."),
        (OAUTH, (302, "", query(client_id="y")), "The redirect to Check-in lacks client_id=x."),
        (OAUTH, (302, "", query(redirect_uri="")), f"The redirect to Check-in lacks redirect_uri={CALLBACK}."),
        (
            OAUTH,
            (302, "", query(code_challenge_method="")),
            "The redirect to Check-in lacks code_challenge_method=S256.",
        ),
        (DISCOVERY, None, f"GET {DISCOVERY} got no answer (timed out)."),
        (DISCOVERY, (500, "", ""), f"{DISCOVERY} returns 500."),
        (
            DISCOVERY,
            (200, "<html>", ""),
            f"GET {DISCOVERY} answered 200 with 6 bytes (no content type) that are not JSON.",
        ),
        (DISCOVERY, (200, "{}", ""), f"{ISSUER} has users log in at no URL; the hub sends them to {AUTHORIZE}."),
    ],
)
def test_a_service_that_does_not_work_has_one_fault(ask, url, page, fault):
    (found,) = ask({url: page})["faults"]
    assert found.startswith(fault)


def test_the_login_page_may_redirect_to_the_login(ask):
    assert ask({PAGE: (302, "", "/hub/oauth_login?next=")})["faults"] == []


def test_a_hub_without_pkce_sends_no_challenge(ask):
    pages = {OAUTH: (302, "", query(code_challenge_method=""))}
    assert ask(pages, pkce=False)["faults"] == []


def test_it_waits_for_the_login_page(ask):
    assert ask({PAGE: [None, (503, "", ""), WORKING[PAGE]]}, wait=60)["faults"] == []
    assert ask.asked.count(PAGE) == 3
    assert ask({PAGE: (503, "", "")}, wait=1)["faults"] == [f"{PAGE} returns 503."]


def test_a_private_ca_is_trusted_in_addition_to_those_of_the_host(tmp_path, monkeypatch):
    assert module.write_bundle(str(tmp_path), " \n") is None
    (tmp_path / "system").write_text("-- system --")
    monkeypatch.setattr(module, "BUNDLES", (str(tmp_path / "no"), str(tmp_path / "system"), __file__))
    path = module.write_bundle(str(tmp_path), "-- own --")
    with open(path) as bundle:
        assert re.findall("-- (.*) --", bundle.read()) == ["system", "own"]
    monkeypatch.setattr(module, "BUNDLES", ())
    with open(module.write_bundle(str(tmp_path), "-- own --")) as bundle:
        assert bundle.read() == "-- own --"


def test_tls_is_verified(serve, certificate):
    url = serve(lambda *_: (200, {"authorization_endpoint": AUTHORIZE}))
    result = module.request(Web(None, public=True), url)
    assert (result.status, "certificate" in result.reason.lower()) == (0, True)
    assert module.request(Web(str(certificate), public=True), url).status == 200
