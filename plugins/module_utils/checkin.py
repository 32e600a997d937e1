# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of EGI Check-in, and checks of the settings that name it. Every error is one line for a person."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
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
# Both entitlement scopes: the first replaces the second, which is still in use.
DEFAULT_SCOPES = ("openid", "profile", "email", "voperson_id", "entitlements", "eduperson_entitlement")
_HOST_NAME = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


class SettingsError(ValueError):
    """A setting is wrong; the message says which, what was given and what is allowed."""


def check_keys(
    where: str, given: Iterable[object], known: Iterable[str], hints: Mapping[str, str] | None = None
) -> None:
    """Refuse a key that is not known, and say which may have been meant."""
    known = list(known)
    for key in given:
        if key in known:
            continue
        close = difflib.get_close_matches(str(key), known, n=1)
        hint = (hints or {}).get(str(key)) or (f"did you mean {close[0]!r}?" if close else "")
        raise SettingsError(f"{where}: unknown key {key!r}; {hint or 'known are ' + ', '.join(known)}")


def check_url(where: str, given: object) -> str:
    """Return an https address, or refuse what is none."""
    try:
        parts = urlsplit(given) if isinstance(given, str) else None
        valid = parts and parts.scheme == "https" and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid or parts.username is not None or re.search(r"\s", given):
        raise SettingsError(f"{where} is {given!r}; allowed is an https:// address with a host name")
    return given


def check_issuer(where: str, given: object) -> str:
    """Return the address of an issuer without a slash at its end."""
    url = check_url(where, given)
    if "?" in url or "#" in url:
        raise SettingsError(f"{where} is {given!r}; allowed is an address without '?' and '#'")
    return url.rstrip("/")


def is_host_name(text: object) -> bool:
    """Return whether this is a fully qualified host name in lowercase."""
    return isinstance(text, str) and len(text) <= 253 and _HOST_NAME.fullmatch(text) is not None


def check_host_name(where: str, given: object) -> str:
    """Return a public host name."""
    if not is_host_name(given):
        raise SettingsError(
            f"{where} is {given!r}; allowed is a full host name in small letters, such as notebooks.example.org"
        )
    return given


def check_texts(where: str, given: object) -> tuple[str, ...]:
    """Return a list of texts without blanks around."""
    if not isinstance(given, (list, tuple)) or not all(isinstance(item, str) and item.strip() for item in given):
        raise SettingsError(f"{where} is {given!r}; allowed is a list of texts")
    return tuple(item.strip() for item in given)


def enrolment_template(issuer: str) -> str:
    """Return where a person enrols in a VO, with ``{vo}`` for its name; nothing if the issuer is no Check-in."""
    base, separator, realm = issuer.rpartition("/realms/")
    return f"{base}/realms/id/account/#/enroll?groupPath=/{{vo}}" if separator and realm == "egi" else ""


def enrolment_url(template: str, vo: str) -> str:
    """Return where a person enrols in this VO."""
    return template.replace("{vo}", quote(vo, safe=""))


def logout_url(issuer: str, client_id: str, back: str | None = None) -> str:
    """Return the address that ends the session at the provider, and leads back if an address is given."""
    query = {"client_id": client_id} | ({"post_logout_redirect_uri": back} if back else {})
    return f"{issuer}{ENDPOINTS['logout']}?{urlencode(query)}"
