# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything of JupyterHub, OAuthenticator and KubeSpawner that is not their documented interface.

The other modules use documented names alone. ``check()`` names what an image of another version lacks, before the hub
starts. The versions that were tested are in plugins/module_utils/upstream.py of the collection.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from jupyterhub import orm, roles
from jupyterhub.apihandlers.users import ActivityAPIHandler
from jupyterhub.handlers.metrics import MetricsHandler
from jupyterhub.utils import url_path_join
from kubespawner.reflector import ResourceReflector

PACKAGES = ("jupyterhub", "oauthenticator", "jupyterhub-kubespawner")
#: Undocumented names, module:object.attribute.
NEEDED = (
    "jupyterhub.apihandlers:APIHandler.refresh_auth",
    "jupyterhub.apihandlers.users:ActivityAPIHandler.refresh_auth",
    "jupyterhub.auth:Authenticator.check_blocked_users",
    "jupyterhub.handlers.base:BaseHandler.auth_to_user",
    "jupyterhub.handlers.metrics:MetricsHandler.authenticate_prometheus",
    "jupyterhub.orm:User.encrypted_auth_state",
    "jupyterhub.orm:User.find",
    "jupyterhub.proxy:Proxy.delete_user",
    "jupyterhub.roles:assign_default_roles",
    "jupyterhub.spawner:Spawner._log_name",
    "jupyterhub.spawner:Spawner._stop_pending",
    "jupyterhub.user:User.get_auth_state",
    "jupyterhub.user:User.save_auth_state",
    "jupyterhub.user:User.sync_groups",
    "kubespawner.reflector:ResourceReflector._stopping",
    "kubespawner.reflector:ResourceReflector._watch_and_update",
    "kubespawner.reflector:ResourceReflector.on_failure",
    "kubespawner.spawner:KubeSpawner._render_options_form_dynamically",
    "oauthenticator.oauth2:OAuthCallbackHandler.check_code",
    "oauthenticator.oauth2:OAuthCallbackHandler.check_error",
    "oauthenticator.oauth2:OAuthCallbackHandler.check_state",
    "oauthenticator.oauth2:OAuthLogoutHandler.render_logout_page",
    "oauthenticator.oauth2:OAuthenticator._token_to_auth_model",
    "oauthenticator.oauth2:OAuthenticator.build_auth_state_dict",
    "oauthenticator.oauth2:OAuthenticator.build_refresh_token_request_params",
    "oauthenticator.oauth2:OAuthenticator.build_token_info_request_headers",
    "oauthenticator.oauth2:OAuthenticator.get_user_groups",
    "oauthenticator.oauth2:OAuthenticator.httpfetch",
    "oauthenticator.oauth2:OAuthenticator.token_to_user",
    "oauthenticator.oauth2:OAuthenticator.update_auth_model",
)


def missing() -> list[str]:
    """Return the names that the installed packages lack."""
    found = []
    for name in NEEDED:
        module, _colon, path = name.partition(":")
        try:
            item: Any = importlib.import_module(module)
            for part in path.split("."):
                item = getattr(item, part)
        except (ImportError, AttributeError):
            found.append(name)
    return found


def check() -> None:
    """Refuse to start with packages that lack a name."""
    lacking = missing()
    if lacking:
        raise RuntimeError(
            f"The hub image must have {', '.join(lacking)}; got {', '.join(map(_installed, PACKAGES))}. "
            "Set jupyterhub_chart_version to a version that docs/identity.md lists."
        )


def _installed(package: str) -> str:
    """Return a package with its version."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


# --- Users ---


def find_user(app: Any, name: str) -> Any:
    """Return the user of the hub who has this name, or nothing."""
    found = orm.User.find(app.db, name)
    user = app.users[found] if found else None
    if user:
        set_server_address(user)
    return user


def set_server_address(user: Any) -> None:
    """Give a user who was renamed the server address of the new name. The hub keeps the old one until it restarts."""
    address = url_path_join(user.settings.get("base_url", "/"), "user", user.escaped_name) + "/"
    if user.base_url != address and not user.active:
        user.base_url = user.prefix = address
        # Spawners take their address from the user.
        user.spawners.clear()


def is_unreadable(user: Any, auth_state: Any) -> bool:
    """Return whether a user has a stored state that could not be decrypted."""
    return auth_state is None and user.encrypted_auth_state is not None


def set_privileges(user: Any, *, admin: bool, groups: list[str]) -> None:
    """Store whether a user is an admin, and their groups."""
    user.admin = admin
    roles.assign_default_roles(user.db, entity=user)
    user.sync_groups(groups)
    user.db.commit()


def delete_api_tokens(user: Any) -> None:
    """Delete the API tokens of a user."""
    for token in list(user.api_tokens):
        user.db.delete(token)
    user.db.commit()


def set_refreshed(user: Any, when: float | None) -> None:
    """Set when the hub last checked a user; with None it checks again at the next request."""
    user._auth_refreshed = when


async def auth_model(authenticator: Any, token_info: dict[str, Any]) -> dict[str, Any]:
    """Return what the provider says about the user of a token."""
    return await authenticator._token_to_auth_model(token_info)


# --- Servers ---


def log_name(spawner: Any) -> str:
    """Return the name of a server for logs."""
    return spawner._log_name


async def stop_server(app: Any, user: Any, name: str, spawner: Any) -> None:
    """Stop a server as the hub does when a user stops it."""
    spawner._stop_pending = True
    try:
        await app.proxy.delete_user(user, name)
        await user.stop(name)
    finally:
        spawner._stop_pending = False


async def profile_form(spawner: Any) -> str:
    """Return the form of KubeSpawner's profiles."""
    return await spawner._render_options_form_dynamically(spawner)


# --- Changes of upstream's classes ---


def replace_methods(is_metrics_request_authenticated: Any, refresh_activity_report: Any) -> None:
    """Replace what upstream has no setting for."""
    MetricsHandler.authenticate_prometheus = property(is_metrics_request_authenticated)
    ActivityAPIHandler.refresh_auth = refresh_activity_report
    ResourceReflector._watch_and_update = _watch_forever


#: Upstream's watch, which ends when the cluster's API has been unreachable for 50 seconds.
_watch_once = getattr(ResourceReflector, "_watch_and_update", None)


async def _watch_forever(reflector: Any) -> None:
    """Watch the cluster until told to stop, so that servers start and stop after an outage of its API."""
    while True:
        await _watch_once(reflector)
        # With a namespace for each user upstream ends the hub instead.
        if reflector._stopping or reflector.on_failure:
            return
