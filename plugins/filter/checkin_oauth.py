# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Login by EGI Check-in, from a few readable settings to the hub's configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible.errors import AnsibleFilterError

from ansible_collections.egi.notebooks.plugins.module_utils import checkin
from ansible_collections.egi.notebooks.plugins.module_utils.checkin import SettingsError
from ansible_collections.egi.notebooks.plugins.module_utils.entitlement import DEFAULT_NAMESPACES
from ansible_collections.egi.notebooks.plugins.module_utils.vos import Vo, check_vos

KEYS = (
    "environment",
    "issuer",
    "client_id",
    "domain",
    "callback_url",
    "vos",
    "scopes",
    "offline_access",
    "user_names",
    "recheck_seconds",
    "grace_seconds",
    "absence_seconds",
    "access_token_file",
    "namespaces",
    "enrolment_url",
    "post_logout_redirect_url",
    "ca_file",
    "pkce",
)
USER_NAMES = ("voperson_id", "preferred_username")
HINTS = {
    "admin": "the roles that make an admin are a VO's own now, as in vos: [{name: VO, admin: [vm_operator]}]",
    "username_claim": f"what users are called after is user_names now, one of {', '.join(USER_NAMES)}",
    "client_secret": "the secret never stands in the hub's configuration, "
    "the hub reads it from its environment variable OAUTH_CLIENT_SECRET",
}


def checkin_oauth(settings: object) -> dict[str, Any]:
    """Return the sections of ``hub.config`` for login by EGI Check-in."""
    try:
        return _hub_config(settings)
    except SettingsError as error:
        raise AnsibleFilterError(f"checkin_oauth: {error}") from error


def _hub_config(settings: object) -> dict[str, Any]:
    if not isinstance(settings, Mapping):
        raise SettingsError(f"the settings are {settings!r}; allowed is a mapping of {', '.join(KEYS)}")
    checkin.check_keys("settings", settings, KEYS, HINTS)
    issuer = _issuer(settings)
    client_id = _text(settings, "client_id")
    back = settings.get("post_logout_redirect_url")
    vos = check_vos("vos", settings.get("vos"))
    authenticator = {
        "login_service": "EGI Check-in",
        "client_id": client_id,
        "oauth_callback_url": _callback_url(settings),
        "authorize_url": issuer + checkin.ENDPOINTS["authorize"],
        "token_url": issuer + checkin.ENDPOINTS["token"],
        "userdata_url": issuer + checkin.ENDPOINTS["userinfo"],
        "logout_redirect_url": checkin.logout_url(
            issuer, client_id, checkin.check_url("post_logout_redirect_url", back) if back else None
        ),
        "scope": _scopes(settings, vos),
        "manage_groups": True,
        # The hub module admits people by the rules below.
        "any_allow_config": True,
        "enable_auth_state": True,
        "enable_pkce": _flag(settings, "pkce", default=True),
        "auth_refresh_age": _seconds(settings, "recheck_seconds", default=300, least=10),
        "refresh_pre_spawn": True,
        "custom_403_message": _refusal(settings, issuer, vos),
        # A page must not wait long for a provider that takes connections and says nothing.
        "http_request_kwargs": {"connect_timeout": 5, "request_timeout": 10},
    }
    if settings.get("ca_file"):
        # The hub's HTTP client reads no SSL_CERT_FILE.
        authenticator["http_request_kwargs"]["ca_certs"] = _path(settings, "ca_file")
    return {
        "JupyterHub": {"authenticator_class": "generic-oauth"},
        "GenericOAuthenticator": authenticator,
        # For the module egi_notebooks_hub.
        "EgiNotebooks": {
            "namespaces": list(_namespaces(settings)),
            "vos": [vo.for_hub() for vo in vos],
            "user_names": _user_names(settings),
            "grace_seconds": _seconds(settings, "grace_seconds", default=600, least=0),
            "absence_seconds": _seconds(settings, "absence_seconds", default=43200, least=0),
            "access_token_file": _access_token_file(settings),
        },
    }


def _issuer(settings: Mapping[str, Any]) -> str:
    """Return the issuer, given by its address or by the name of an environment."""
    if bool(settings.get("environment")) == bool(settings.get("issuer")):
        raise SettingsError(
            f"environment is {settings.get('environment')!r} and issuer is {settings.get('issuer')!r}; "
            f"allowed is one of them, environment ({', '.join(checkin.ISSUERS)}) or issuer (an https:// address)"
        )
    if settings.get("issuer"):
        return checkin.check_issuer("issuer", settings["issuer"])
    if settings["environment"] not in checkin.ISSUERS:
        raise SettingsError(f"environment is {settings['environment']!r}; allowed are {', '.join(checkin.ISSUERS)}")
    return checkin.ISSUERS[settings["environment"]]


def _callback_url(settings: Mapping[str, Any]) -> str:
    """Return where the provider sends a person back to, given as such or by the public host name."""
    if bool(settings.get("domain")) == bool(settings.get("callback_url")):
        raise SettingsError(
            f"domain is {settings.get('domain')!r} and callback_url is {settings.get('callback_url')!r}; "
            "allowed is one of them, domain (the public host name) or callback_url (an https:// address)"
        )
    if settings.get("domain"):
        return f"https://{checkin.check_host_name('domain', settings['domain'])}/hub/oauth_callback"
    url = checkin.check_url("callback_url", settings["callback_url"])
    parts = urlsplit(url)
    if not parts.path.endswith("/hub/oauth_callback") or parts.query or parts.fragment:
        raise SettingsError(f"callback_url is {url!r}; allowed is an address that ends in /hub/oauth_callback")
    return url


def _scopes(settings: Mapping[str, Any], vos: list[Vo]) -> list[str]:
    """Return the scopes, each once."""
    scopes = list(checkin.check_texts("scopes", settings.get("scopes") or list(checkin.DEFAULT_SCOPES)))
    if "openid" not in scopes or any(len(scope.split()) > 1 for scope in scopes):
        raise SettingsError(f"scopes is {settings['scopes']!r}; allowed is a list of words with openid among them")
    if any(vo.assurance for vo in vos):
        scopes.append("eduperson_assurance")
    if _flag(settings, "offline_access", default=False):
        scopes.append("offline_access")
    return list(dict.fromkeys(scopes))


def _user_names(settings: Mapping[str, Any]) -> str:
    """Return the claim that users are called after."""
    given = settings.get("user_names", USER_NAMES[0])
    if given not in USER_NAMES:
        raise SettingsError(f"user_names is {given!r}; allowed are {', '.join(USER_NAMES)}")
    return given


def _access_token_file(settings: Mapping[str, Any]) -> bool:
    """Return whether notebooks get the access token, which only stays fresh with a refresh token."""
    wanted = _flag(settings, "access_token_file", default=False)
    if wanted and not _flag(settings, "offline_access", default=False):
        raise SettingsError("access_token_file is True and offline_access is False; allowed is both or only the second")
    return wanted


def _namespaces(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the namespaces of trusted group entitlements."""
    namespaces = checkin.check_texts("namespaces", settings.get("namespaces") or list(DEFAULT_NAMESPACES))
    for namespace in namespaces:
        if not namespace.lower().startswith("urn:"):
            raise SettingsError(f"namespaces has {namespace!r}; allowed are URNs such as urn:mace:egi.eu")
    return namespaces


def _refusal(settings: Mapping[str, Any], issuer: str, vos: list[Vo]) -> str:
    """Return what a person reads who is in none of the VOs."""
    template = settings.get("enrolment_url") or checkin.enrolment_template(issuer)
    if template:
        checkin.check_url("enrolment_url", template)
    where = [f"{vo} at {checkin.enrolment_url(template, vo.name)}" if template else str(vo) for vo in vos]
    return (
        "You are logged in at EGI Check-in, but you are in no virtual organisation (VO) that may use this service. "
        f"Please join {' or '.join(dict.fromkeys(where))} and then log in here again."
    )


def _text(settings: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = settings.get(key, default)
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise SettingsError(f"{key} is {value!r}; allowed is a text of one line")
    return value.strip()


def _path(settings: Mapping[str, Any], key: str) -> str:
    value = _text(settings, key)
    if not value.startswith("/"):
        raise SettingsError(f"{key} is {value!r}; allowed is an absolute path in the hub's container")
    return value


def _flag(settings: Mapping[str, Any], key: str, *, default: bool) -> bool:
    value = settings.get(key, default)
    if not isinstance(value, bool):
        raise SettingsError(f"{key} is {value!r}; allowed is true or false")
    return value


def _seconds(settings: Mapping[str, Any], key: str, *, default: int, least: int) -> int:
    value = settings.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SettingsError(f"{key} is {value!r}; allowed is a whole number of seconds, at least {least}")
    return value


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"checkin_oauth": checkin_oauth}
