# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's stand-in for EGI Check-in: Keycloak (which Check-in is) with a realm `egi` of the same shape.

Keycloak's unpacked distribution stays as it is: a home of its own in ``STATE/keycloak`` links to it and holds what
Keycloak writes (the database, a build).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

import yaml

from lab.settings import CHECKIN_ADDRESS, DOMAIN, LAB

HOST = f"aai.{DOMAIN}"
BASE_URL = f"https://{HOST}/auth"
ISSUER = f"{BASE_URL}/realms/egi"
READY_URL = f"{ISSUER}/.well-known/openid-configuration"
CLIENT_ID = "egi-notebooks"
ADMIN = "admin"
VO = "vo.notebooks.egi.eu"

_TEMPLATE = LAB / "checkin/realm.yml"
#: What the distribution must be built for (`kc.sh build`). It is already, by its recipe; else the first start does it.
_BUILD = {"KC_DB": "dev-file", "KC_HTTP_RELATIVE_PATH": "/auth"}
#: Quick to start and small, on part of a core: no second compiler, no collector with threads of its own.
_JAVA = {
    "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx512m",
    "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1 -XX:-UseG1GC -XX:+UseSerialGC",
}


@dataclass(frozen=True)
class User:
    """A person who can log in: the user name is the key in USERS, the roles are those held in the VO."""

    given_name: str
    family_name: str
    roles: tuple[str, ...] = ()


USERS = {
    "member": User("Marta", "Member", ("member",)),
    "member2": User("Žofía", "Čapková-Ωmega", ("member",)),
    "admin": User("Ada", "Admin", ("member", "vm_operator")),
    "outsider": User("Otto", "Outsider"),
}


def voperson_id(user: str) -> str:
    """The user's identifier for life, of Check-in's form and the same in every lab."""
    return f"{hashlib.sha256(f'{user}@{HOST}'.encode()).hexdigest()}@egi.eu"


def entitlements(user: str) -> list[str]:
    return [f"urn:mace:egi.eu:group:{VO}:role={role}#aai.egi.eu" for role in USERS[user].roles]


def render_realm(state: Path) -> dict:
    """The realm's import document. It holds the client's secret and the users' passwords."""
    realm = yaml.safe_load(_TEMPLATE.read_text())
    (client,) = realm["clients"]
    client["secret"] = _secret(state, "client_secret")
    realm["users"] = [_user(name, _secret(state, f"password-{name}")) for name in USERS]
    return realm


def _user(name: str, password: str) -> dict:
    user = USERS[name]
    email = f"{name}@users.{DOMAIN}"
    attributes = {
        "voperson_id": [voperson_id(name)],
        "voperson_verified_email": [email],
        "entitlements": entitlements(name),
        "eduperson_assurance": ["https://aai.egi.eu/LoA#Substantial", "https://refeds.org/assurance/IAP/low"],
        "eduperson_scoped_affiliation": [f"member@{DOMAIN}"],
    }
    return {
        # A fixed id keeps `sub` when the realm is imported anew.
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{ISSUER}/users/{name}")),
        "username": name,
        "firstName": user.given_name,
        "lastName": user.family_name,
        "email": email,
        "emailVerified": True,
        "enabled": True,
        "attributes": attributes,
        # What every user may do, refresh tokens for offline access among it.
        "realmRoles": ["default-roles-egi"],
        "credentials": [{"type": "password", "value": password, "temporary": False}],
    }


def _secret(state: Path, name: str) -> str:
    return (state / "secrets" / name).read_text().strip()


def erase(state: Path) -> None:
    """Forget all that Keycloak has stored: call this while it is down."""
    shutil.rmtree(state / "keycloak", ignore_errors=True)


def prepare(part: Path, state: Path) -> None:
    """Lay out Keycloak's home. If realm, secrets or `part` have changed it is a new one, with an empty database into
    which the realm is imported at the next start: call this while Keycloak is down.
    """
    home = state / "keycloak"
    realm = json.dumps(render_realm(state), ensure_ascii=False, indent=1)
    made_from = repr((str(part), realm, _secret(state, "keycloak_admin")))
    key = hashlib.sha256(made_from.encode()).hexdigest()
    stamp = home / "made-from"
    if stamp.exists() and stamp.read_text() == key:
        return
    erase(state)
    home.mkdir(parents=True, mode=0o700)
    # Copies: what a build writes, and the two files that take the folder they really lie in for their home.
    for folder in ("conf", "lib/quarkus"):
        shutil.copytree(part / folder, home / folder)
    (home / "bin").mkdir()
    for file in ("bin/kc.sh", "lib/quarkus-run.jar"):
        shutil.copy(part / file, home / file)
    for folder in ("lib/app", "lib/lib", "providers", "themes"):
        (home / folder).symlink_to(part / folder)
    document = home / "data/import/egi-realm.json"
    document.parent.mkdir(parents=True)
    with open(os.open(document, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(realm)
    stamp.write_text(key)


def command(state: Path) -> tuple[list[str], dict[str, str]]:
    """Command line and further environment of the daemon: to be run inside the lab's namespace, after `prepare`."""
    return [str(state / "keycloak/bin/kc.sh"), "start", "--import-realm"], _BUILD | _JAVA | {
        "KC_HOSTNAME": BASE_URL,
        "KC_HTTP_HOST": CHECKIN_ADDRESS,
        "KC_HTTPS_PORT": "443",
        "KC_HTTPS_CERTIFICATE_FILE": str(state / "tls/aai.crt"),
        "KC_HTTPS_CERTIFICATE_KEY_FILE": str(state / "tls/aai.key"),
        "KC_CACHE": "local",
        "KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN,
        "KC_BOOTSTRAP_ADMIN_PASSWORD": _secret(state, "keycloak_admin"),
    }
