#!/usr/bin/python
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Request the pages of the notebooks service as a browser does."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_info
author: EGI Notebooks team (@EGI-Federation)
version_added: 0.1.0
short_description: Requests the pages of the notebooks service as a browser does
description:
  - Requests the service without TLS, the login page, the redirect to Check-in and Check-in's discovery document.
  - Runs where the service's host name can be resolved, usually on the control node. TLS is always verified.
  - Does not fail because of the service. What is wrong is in RV(faults).
extends_documentation_fragment:
  - egi.notebooks.info_module
options:
  domain:
    description:
      - Host name of the service.
    type: str
    required: true
  issuer:
    description:
      - URL of Check-in's issuer.
    type: str
    required: true
  authorize_url:
    description:
      - URL at Check-in to which the hub sends users.
    type: str
    required: true
  client_id:
    description:
      - ID of the client by which the hub is registered at Check-in.
    type: str
    required: true
  callback_url:
    description:
      - URL to which Check-in sends users back.
    type: str
    required: true
  pkce:
    description:
      - Whether the hub uses PKCE (RFC 7636).
    type: bool
    default: true
  certificates:
    description:
      - PEM certificates of CAs that are trusted in addition to those of the host.
    type: str
    default: ""
  wait:
    description:
      - Seconds to wait for the login page. V(0) requests it once.
    type: int
    default: 0
  timeout:
    description:
      - Seconds without an answer after which a request fails.
    type: int
    default: 20
"""

EXAMPLES = r"""
- name: Request the pages of the service
  egi.notebooks.service_info:
    domain: notebooks.example.org
    issuer: https://aai.egi.eu/auth/realms/egi
    authorize_url: https://aai.egi.eu/auth/realms/egi/protocol/openid-connect/auth
    client_id: 0b1a6d0c-5d3c-4b7e-8d55-1f2f3f3a9d10
    callback_url: https://notebooks.example.org/hub/oauth_callback
    wait: 180
  register: service
  delegate_to: localhost
"""

RETURN = r"""
results:
  description:
    - What each request returned. V(redirect) is the service without TLS, V(login_page) and V(login) are the hub's pages
      C(/hub/login) and C(/hub/oauth_login), V(discovery) is Check-in's discovery document.
  type: dict
  returned: always
  contains:
    status:
      description: Status of the answer, V(0) without one.
      type: int
    location:
      description: URL to which the answer redirects, without its query. Empty if it does not.
      type: str
    reason:
      description: Why there is no answer. Empty if there is one.
      type: str
  sample:
    redirect:
      status: 301
      location: https://notebooks.example.org/
      reason: ""
faults:
  description: What is wrong, in one sentence each. Empty if the service works.
  type: list
  elements: str
  returned: always
  sample: ["https://notebooks.example.org/hub/login returns 503."]
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.egi.notebooks.plugins.module_utils.web import Answer, Web, WebError, shown

#: Where distributions have the certificates of known CAs.
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
DISCOVERY = "/.well-known/openid-configuration"
PAUSE = 5


@dataclass(frozen=True)
class Result:
    """What a request returned."""

    url: str
    answer: Answer | None = None
    reason: str = ""

    @property
    def status(self) -> int:
        """The status of the answer, 0 without one."""
        return self.answer.status if self.answer else 0

    @property
    def location(self) -> str:
        """The URL to which the answer redirects."""
        return (self.answer.headers.get("Location") or "") if self.answer else ""

    @property
    def text(self) -> str:
        """The body of the answer."""
        return self.answer.body.decode("utf-8", "replace") if self.answer else ""

    def __str__(self) -> str:
        """The URL and what it returned, or why nothing, without the end of the sentence."""
        return f"{self.url} returns {self.status}" if self.answer else self.reason


def request(web: Web, url: str) -> Result:
    """Return what a URL returns."""
    try:
        return Result(url, web.ask("GET", url, accept="*/*"))
    except WebError as error:
        return Result(url, reason=str(error).rstrip("."))


def wait_for(web: Web, url: str, seconds: int) -> Result:
    """Return what a page returns, as soon as it is one or the time is over."""
    end = time.monotonic() + seconds
    while True:
        result = request(web, url)
        if result.status in (200, 302) or time.monotonic() >= end:
            return result
        time.sleep(min(PAUSE, max(0.0, end - time.monotonic())))


def redirect_faults(home: str, result: Result) -> Iterator[str]:
    """Yield a fault unless the service without TLS redirects to the one with it."""
    parts = urlsplit(result.location)
    if not result.answer:
        yield f"{result}."
    elif result.status not in (301, 308) or f"{parts.scheme}://{parts.netloc.removesuffix(':443')}" != home:
        where = f" and redirects to {shown(result.location)}" if result.location else ""
        yield f"{result}{where}; must redirect to {home} for good (301 or 308)."


def login_page_faults(result: Result) -> Iterator[str]:
    """Yield a fault unless the login page leads to Check-in."""
    if result.status not in (200, 302):
        yield f"{result}."
    elif "oauth_login" not in result.text + result.location:
        yield f"{result.url} offers no login by Check-in."


def login_faults(wanted: dict[str, Any], result: Result) -> Iterator[str]:
    """Yield what is wrong with the redirect to Check-in."""
    target, _mark, query = result.location.partition("?")
    if not result.answer:
        yield f"{result}."
        return
    if result.status != 302 or target != wanted["authorize_url"] or not query:
        where = f" and redirects to {shown(result.location)}" if result.location else ""
        yield f"{result}{where}; must redirect to {wanted['authorize_url']}."
        return
    parts = {"client_id": wanted["client_id"], "redirect_uri": wanted["callback_url"]}
    parts |= {"code_challenge_method": "S256"} if wanted["pkce"] else {}
    found = parse_qs(query)
    for name, value in parts.items():
        if found.get(name) != [value]:
            yield f"The redirect to Check-in lacks {name}={value}."


def discovery_faults(wanted: dict[str, Any], result: Result) -> Iterator[str]:
    """Yield a fault unless Check-in has users log in where the hub sends them."""
    if result.status != 200 or not result.answer:
        yield f"{result}."
        return
    try:
        endpoint = result.answer.mapping().get("authorization_endpoint")
    except WebError as error:
        yield f"{error}."
        return
    if endpoint != wanted["authorize_url"]:
        yield (
            f"{wanted['issuer']} has users log in at {endpoint or 'no URL'}; the hub sends them to "
            f"{wanted['authorize_url']}."
        )


def write_bundle(folder: str, certificates: str) -> str | None:
    """Return a file of the CAs that are trusted; none where those of the system are enough."""
    if not certificates.strip():
        return None
    known = next((path for path in BUNDLES if os.path.isfile(path)), None)
    path = os.path.join(folder, "trusted.pem")
    with open(path, "w", encoding="utf-8") as bundle:
        if known:
            with open(known, encoding="utf-8", errors="replace") as system:
                bundle.write(f"{system.read()}\n")
        bundle.write(certificates)
    return path


def main() -> None:
    """Run the module."""
    texts = ("domain", "issuer", "authorize_url", "client_id", "callback_url")
    module = AnsibleModule(
        argument_spec={
            **{name: {"type": "str", "required": True} for name in texts},
            "pkce": {"type": "bool", "default": True},
            "certificates": {"type": "str", "default": ""},
            "wait": {"type": "int", "default": 0},
            "timeout": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    home, issuer = f"https://{wanted['domain']}", wanted["issuer"].rstrip("/")
    web = Web(write_bundle(module.tmpdir, wanted["certificates"]), wanted["timeout"], public=True)
    results = {
        "redirect": request(web, f"http://{wanted['domain']}/"),
        "login_page": wait_for(web, f"{home}/hub/login", wanted["wait"]),
        "login": request(web, f"{home}/hub/oauth_login"),
        "discovery": request(web, f"{issuer}{DISCOVERY}"),
    }
    faults = [
        *redirect_faults(home, results["redirect"]),
        *login_page_faults(results["login_page"]),
        *login_faults(wanted, results["login"]),
        *discovery_faults(wanted | {"issuer": issuer}, results["discovery"]),
    ]
    module.exit_json(
        changed=False,
        results={
            name: {
                "status": result.status,
                "location": shown(result.location) if result.location else "",
                "reason": result.reason,
            }
            for name, result in results.items()
        },
        faults=faults,
    )


if __name__ == "__main__":
    main()
