# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Login by EGI Check-in: from a few readable settings to the hub's configuration, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.egi.notebooks.plugins.module_utils.checkin import (
    DEFAULT_SCOPES,
    ENDPOINTS,
    ISSUERS,
    Problems,
    SettingsError,
    check_choice,
    check_flag,
    check_host_name,
    check_issuer,
    check_line,
    check_mapping,
    check_seconds,
    check_texts,
    check_url,
    enrolment_template,
    enrolment_url,
    logout_url,
    shown,
)
from ansible_collections.egi.notebooks.plugins.module_utils.checkin_site import read_site
from ansible_collections.egi.notebooks.plugins.module_utils.entitlement import DEFAULT_NAMESPACES, is_namespace
from ansible_collections.egi.notebooks.plugins.module_utils.traits import PROTECTED, is_protected
from ansible_collections.egi.notebooks.plugins.module_utils.vos import Vo, read_vos

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
    "site",
)
USER_NAMES = ("voperson_id", "preferred_username")
LEAST_RECHECK_SECONDS = PROTECTED["auth_refresh_age"]
CALLBACK = "/hub/oauth_callback"


def login_config(settings: object) -> dict[str, Any]:
    """Return the sections of ``hub.config`` for login by EGI Check-in, or raise all problems at once."""
    config, problems = _read_login(settings, "", {})
    if problems:
        raise SettingsError("\n".join(problems))
    return config


def login_problems(settings: object, prefix: str = "", names: Mapping[str, str] | None = None) -> list[str]:
    """Return every problem of the settings, those of each VO too.

    ``names`` has the variables from which some keys come, for example ``{"vos": "egi_notebooks_vos"}``. The names of
    the other keys begin with ``prefix``, for example ``jupyterhub_oauth.``.
    """
    return _read_login(settings, prefix, names or {})[1]


def vo_problems(where: str, vos: object, namespaces: Sequence[str] = DEFAULT_NAMESPACES) -> list[str]:
    """Return every problem of a list of VOs, which the messages call ``where``."""
    return read_vos(where, vos, namespaces)[1]


class _Reader:
    """Reads settings one by one and notes problems under the names of the variables that the site has set."""

    def __init__(self, settings: Mapping[str, Any], prefix: str, names: Mapping[str, str]) -> None:
        self.settings, self.prefix, self.names = settings, prefix, names
        self.problems = Problems()

    def name(self, key: str) -> str:
        """Return the name of a setting for messages."""
        return self.names.get(key, f"{self.prefix}{key}")

    def given(self, key: str, default: Any = None) -> Any:
        """Return a setting as it is."""
        return self.settings.get(key, default)

    def flag(self, key: str, default: bool) -> bool:
        """Return a setting that is true or false."""
        return self.problems.catch(default, check_flag, self.name(key), self.given(key, default))

    def seconds(self, key: str, default: int, least: int) -> int:
        """Return a setting in seconds."""
        return self.problems.catch(default, check_seconds, self.name(key), self.given(key, default), least)

    def one_of(self, first: str, second: str, described: str) -> bool:
        """Note a problem unless exactly one of two settings is given."""
        one, other = self.given(first), self.given(second)
        if bool(one) != bool(other):
            return True
        self.problems.append(
            f"Exactly one of {self.name(first)} and {self.name(second)} must be given, {described}; got {shown(one)} "
            f"and {shown(other)}."
        )
        return False

    def issuer(self) -> str:
        """Return the issuer, given by its URL or by the name of an environment."""
        fallback = ISSUERS["production"]
        if not self.one_of("environment", "issuer", f"an environment ({', '.join(ISSUERS)}) or an https:// URL"):
            return fallback
        if self.given("issuer"):
            return self.problems.catch(fallback, check_issuer, self.name("issuer"), self.given("issuer"))
        name = self.name("environment")
        return ISSUERS[self.problems.catch("production", check_choice, name, self.given("environment"), ISSUERS)]

    def callback_url(self) -> str:
        """Return where the provider sends a person back to, given as such or by the public host name."""
        if not self.one_of("domain", "callback_url", "the public host name or an https:// URL"):
            return ""
        if self.given("domain"):
            host = self.problems.catch("", check_host_name, self.name("domain"), self.given("domain"))
            return f"https://{host}{CALLBACK}"
        name = self.name("callback_url")
        url = self.problems.catch("", check_url, name, self.given("callback_url"))
        parts = urlsplit(url)
        if url and (not parts.path.endswith(CALLBACK) or parts.query or parts.fragment):
            self.problems.add(name, f"a URL that ends in {CALLBACK}", url)
        return url

    def scopes(self, vos: list[Vo]) -> list[str]:
        """Return the scopes to request, each once."""
        name, default = self.name("scopes"), list(DEFAULT_SCOPES)
        scopes = list(self.problems.catch(DEFAULT_SCOPES, check_texts, name, self.given("scopes") or default))
        if "openid" not in scopes or any(len(scope.split()) > 1 for scope in scopes):
            self.problems.add(name, "a list of words with openid among them", self.given("scopes"))
        if any(vo.assurance for vo in vos):
            scopes.append("eduperson_assurance")
        if self.flag("offline_access", default=False):
            scopes.append("offline_access")
        return list(dict.fromkeys(scopes))

    def namespaces(self) -> tuple[str, ...]:
        """Return the namespaces of trusted group entitlements."""
        name, default = self.name("namespaces"), list(DEFAULT_NAMESPACES)
        given = self.problems.catch(DEFAULT_NAMESPACES, check_texts, name, self.given("namespaces") or default)
        for namespace in given:
            if not is_namespace(namespace):
                self.problems.add(name, "a list of URNs such as urn:mace:egi.eu, without groups", namespace)
        return given if all(map(is_namespace, given)) else DEFAULT_NAMESPACES

    def url(self, key: str) -> str:
        """Return an optional https URL."""
        return self.problems.catch("", check_url, self.name(key), self.given(key)) if self.given(key) else ""


def _read_login(settings: object, prefix: str, names: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return the sections of ``hub.config`` and the problems of the settings."""
    everything = prefix.rstrip(".") or "settings"
    if not isinstance(settings, Mapping):
        problems = Problems()
        problems.catch({}, check_mapping, everything, settings, KEYS)
        return {}, problems
    read = _Reader(settings, prefix, names)
    for key in set(settings) & {"client_secret"}:
        read.problems.append(
            f"{read.name(key)} must not be given: the hub reads the secret from its environment variable "
            "OAUTH_CLIENT_SECRET."
        )
    read.problems.keys(everything, [key for key in settings if key != "client_secret"], KEYS)
    issuer, callback_url, namespaces = read.issuer(), read.callback_url(), read.namespaces()
    client_id = read.problems.catch("", check_line, read.name("client_id"), settings.get("client_id"))
    vos, found = read_vos(read.name("vos"), settings.get("vos"), namespaces)
    read.problems += found
    enrolment = read.url("enrolment_url") or enrolment_template(issuer)
    request: dict[str, Any] = {"connect_timeout": 5, "request_timeout": 10}
    if settings.get("ca_file"):
        # The hub's HTTP client ignores SSL_CERT_FILE.
        request["ca_certs"] = read.problems.catch("", check_line, read.name("ca_file"), settings["ca_file"])
        if not str(request["ca_certs"]).startswith("/"):
            read.problems.add(read.name("ca_file"), "an absolute path in the hub's container", settings["ca_file"])
    offline_access = read.flag("offline_access", default=False)
    access_token_file = read.flag("access_token_file", default=False)
    if access_token_file and not offline_access:
        read.problems.append(
            f"{read.name('offline_access')} must be true where {read.name('access_token_file')} is true; got false."
        )
    authenticator = {
        "login_service": "EGI Check-in",
        "client_id": client_id,
        "oauth_callback_url": callback_url,
        "authorize_url": issuer + ENDPOINTS["authorize"],
        "token_url": issuer + ENDPOINTS["token"],
        "userdata_url": issuer + ENDPOINTS["userinfo"],
        "logout_redirect_url": logout_url(issuer, client_id, read.url("post_logout_redirect_url")),
        "scope": read.scopes(vos),
        "manage_groups": True,
        # The hub module decides who may log in, by the rules of the VOs.
        "any_allow_config": True,
        "enable_auth_state": True,
        "enable_pkce": read.flag("pkce", default=True),
        "auth_refresh_age": read.seconds("recheck_seconds", default=300, least=LEAST_RECHECK_SECONDS),
        "refresh_pre_spawn": True,
        "custom_403_message": _refusal(enrolment, vos),
        # A page must not wait for a provider that accepts connections and sends nothing.
        "http_request_kwargs": request,
    }
    user_names = settings.get("user_names", USER_NAMES[0])
    hub_module = {
        "namespaces": list(namespaces),
        "vos": [vo.for_hub(enrolment) for vo in vos],
        "user_names": read.problems.catch("", check_choice, read.name("user_names"), user_names, USER_NAMES),
        "grace_seconds": read.seconds("grace_seconds", default=600, least=0),
        "absence_seconds": read.seconds("absence_seconds", default=43200, least=0),
        "access_token_file": access_token_file,
        "site": read_site(read.problems, read.name("site"), settings.get("site") or {}),
    }
    config = {
        "JupyterHub": {"authenticator_class": "generic-oauth"},
        "GenericOAuthenticator": authenticator,
        "EgiNotebooks": hub_module,
    }
    return config, list(dict.fromkeys(read.problems))


def _refusal(enrolment: str, vos: list[Vo]) -> str:
    """Return the text for a person who is in none of the VOs."""
    where = [f"{vo} at {enrolment_url(enrolment, vo.name)}" if enrolment else str(vo) for vo in vos]
    return (
        "You are logged in at EGI Check-in, but you are in no virtual organisation (VO) that may use this service. "
        f"Please join {' or '.join(dict.fromkeys(where))} and then log in here again."
    )


_ADVICE = {
    "admin_groups": "Give admin roles to a VO.",
    "auth_refresh_age": "Set recheck_seconds of the login.",
}


def values_problems(values: object, where: str = "jupyterhub_values") -> list[str]:
    """Return a problem for each value of the chart that would undo the rules of the VOs.

    Checks the sections of all authenticator classes in ``hub.config``, whichever of them has the setting.
    """
    problems = Problems()
    hub = values.get("hub") if isinstance(values, Mapping) else None
    config = hub.get("config") if isinstance(hub, Mapping) else None
    for section, traits in config.items() if isinstance(config, Mapping) else ():
        here = f"{where}.hub.config.{section}"
        if section == "EgiNotebooks":
            problems.append(f"{here} must not be given: it comes from the settings of the login.")
        if not isinstance(traits, Mapping):
            continue
        if section == "JupyterHub" and traits.get("authenticator_class", "generic-oauth") != "generic-oauth":
            problems.add(f"{here}.authenticator_class", "generic-oauth", traits["authenticator_class"])
        if not str(section).endswith("Authenticator"):
            continue
        for trait, needed in PROTECTED.items():
            if trait in traits and not is_protected(trait, traits[trait]):
                rule = f"at least {needed}" if trait == "auth_refresh_age" else shown(needed)
                problems.add(f"{here}.{trait}", rule, traits[trait], _ADVICE.get(trait, "Remove it."))
    return problems
