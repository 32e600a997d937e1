# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of EGI Check-in, and checks of settings. Each problem is one line: X must be RULE; got VALUE. ADVICE"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

ISSUERS = {
    "production": "https://aai.egi.eu/auth/realms/egi",
    "demo": "https://aai-demo.egi.eu/auth/realms/egi",
    "development": "https://aai-dev.egi.eu/auth/realms/egi",
}
# Below the issuer, as in each Keycloak.
ENDPOINTS = {
    "authorize": "/protocol/openid-connect/auth",
    "token": "/protocol/openid-connect/token",
    "userinfo": "/protocol/openid-connect/userinfo",
    "logout": "/protocol/openid-connect/logout",
}
# The deprecated scope eduperson_entitlement is requested only where a site sets it: a login that requests a scope which
# Check-in has withdrawn is rejected.
DEFAULT_SCOPES = ("openid", "profile", "email", "voperson_id", "entitlements")
MAX_SHOWN = 200
_HOST_NAME = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")

T = TypeVar("T")


class SettingsError(ValueError):
    """A setting is wrong. The message names it, the rule and the value."""


class Problems(list[str]):
    """Problems of settings, in the order in which they were found."""

    def add(self, where: str, rule: str, value: object, advice: str = "") -> None:
        """Note that a setting breaks a rule."""
        self.append(str(must_be(where, rule, value, advice)))

    def catch(self, default: T, check: Callable[..., T], *arguments: Any) -> T:
        """Return what a check returns, or note its problem and return the default."""
        try:
            return check(*arguments)
        except SettingsError as error:
            self.append(str(error))
            return default

    def keys(self, where: str, given: Iterable[object], known: Iterable[str]) -> None:
        """Note each key that is unknown."""
        known = list(known)
        for key in given:
            if key not in known:
                close = difflib.get_close_matches(str(key), known, n=1)
                advice = f"Did you mean {close[0]}?" if close else ""
                self.append(str(must_be(f"{where}: each key", f"one of {', '.join(known)}", key, advice)))


def shown(value: object) -> str:
    """Return a value as JSON for a message: no login of a URL, at most MAX_SHOWN characters."""
    text = json.dumps(value, ensure_ascii=False, default=str, skipkeys=True)
    text = re.sub(r"//[^/@\s\"]*@", "//***@", text)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def must_be(where: str, rule: str, value: object, advice: str = "") -> SettingsError:
    """Return the error about a setting that breaks a rule."""
    return SettingsError(f"{where} must be {rule}; got {shown(value)}.{f' {advice}' if advice else ''}")


def is_host_name(text: object) -> bool:
    """Return whether this is a fully qualified host name in lowercase."""
    return isinstance(text, str) and len(text) <= 253 and _HOST_NAME.fullmatch(text) is not None


def check_host_name(where: str, given: object) -> str:
    """Return a public host name."""
    if not is_host_name(given):
        raise must_be(where, "a fully qualified host name in lowercase, such as notebooks.example.org", given)
    return str(given)


def is_url(text: object, scheme: str = "https") -> bool:
    """Return whether this is a URL with a host name, without a login and without whitespace."""
    try:
        parts = urlsplit(text) if isinstance(text, str) else None
        valid = parts and parts.scheme == scheme and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    return bool(valid and parts.username is None and not re.search(r"\s", str(text)))


def check_url(where: str, given: object) -> str:
    """Return an https URL."""
    if not is_url(given):
        raise must_be(where, "an https:// URL with a host name and without a login", given)
    return str(given)


def check_issuer(where: str, given: object) -> str:
    """Return the URL of an issuer without a slash at its end."""
    url = check_url(where, given)
    if "?" in url or "#" in url:
        raise must_be(where, "a URL without '?' and '#'", given)
    return url.rstrip("/")


def check_texts(where: str, given: object) -> tuple[str, ...]:
    """Return a list of texts without whitespace around."""
    if not isinstance(given, (list, tuple)) or not all(isinstance(item, str) and item.strip() for item in given):
        raise must_be(where, "a list of texts", given)
    return tuple(item.strip() for item in given)


def check_line(where: str, given: object) -> str:
    """Return a text of one line without whitespace around."""
    if not isinstance(given, str) or not given.strip() or not given.isprintable():
        raise must_be(where, "a text of one line", given)
    return given.strip()


def check_flag(where: str, given: object) -> bool:
    """Return true or false."""
    if not isinstance(given, bool):
        raise must_be(where, "true or false", given)
    return given


def check_seconds(where: str, given: object, least: int) -> int:
    """Return a number of seconds."""
    if isinstance(given, bool) or not isinstance(given, int) or given < least:
        raise must_be(where, f"a whole number of seconds, at least {least}", given)
    return given


def check_choice(where: str, given: object, choices: Iterable[str]) -> str:
    """Return one of some texts."""
    choices = list(choices)
    if given not in choices:
        raise must_be(where, f"one of {', '.join(choices)}", given)
    return str(given)


def check_mapping(where: str, given: object, keys: Iterable[str]) -> Mapping[str, Any]:
    """Return a mapping, whatever its keys."""
    if not isinstance(given, Mapping):
        raise must_be(where, f"a mapping of {', '.join(keys)}", given)
    return given


def enrolment_template(issuer: str) -> str:
    """Return the URL of the page where a person joins a VO, with ``{vo}`` for its name; empty for other issuers."""
    base, separator, realm = issuer.rpartition("/realms/")
    return f"{base}/realms/id/account/#/enroll?groupPath=/{{vo}}" if separator and realm == "egi" else ""


def enrolment_url(template: str, vo: str) -> str:
    """Return the URL of the page where a person joins this VO."""
    return template.replace("{vo}", quote(vo, safe=""))


def logout_url(issuer: str, client_id: str, back: str | None = None) -> str:
    """Return the URL that ends the session at the provider, and leads back if a URL is given."""
    query = {"client_id": client_id} | ({"post_logout_redirect_uri": back} if back else {})
    return f"{issuer}{ENDPOINTS['logout']}?{urlencode(query)}"
