# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role jupyterhub hands to its templates: data of the chart's values and of the secrets."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError

from ansible_collections.egi.notebooks.plugins.plugin_utils import jupyterhub_login as login
from ansible_collections.egi.notebooks.plugins.plugin_utils.artifacts import artifact
from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Check
from ansible_collections.egi.notebooks.plugins.plugin_utils.settings import ROLES

#: An object of the cluster as its API has it.
Object = Mapping[str, Any]
#: The hub finds pages among its own templates.
PAGE_FOLDER = "/usr/local/share/jupyterhub/egi-notebooks"
#: What the collection and the hub share, by the name that it has in the hub.
SHARED_SOURCES = {
    f"egi_notebooks_{name}.py": ROLES.parent / f"plugins/module_utils/{name}.py" for name in ("entitlement", "traits")
}
#: The networks that the chart closes to users' servers by itself.
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
LOCAL = (*map(ipaddress.IPv4Network, PRIVATE), ipaddress.IPv4Network("127.0.0.0/8"))
METADATA_SERVER = "169.254.169.254/32"
ADDRESS_TYPES = ("InternalIP", "ExternalIP")
EDGE_LABEL = "egi.eu/edge"
WEB_PORTS = [{"port": 80}, {"port": 443}]
MEMORY = re.compile(r"([0-9]+(?:\.[0-9]+)?)([KMGT]?)")
#: Keys of the Secret that are generated once.
GENERATED = ("hub.config.JupyterHub.cookie_secret", "hub.config.CryptKeeper.keys")


def chart_data(check: Check, secret: Mapping[str, str]) -> dict[str, Any]:
    """Return what the template of the chart's values interpolates beside the role's variables."""
    return {
        "db_volume": db_volume(check),
        "secret_checksum": secret_checksum(secret),
        "memory_guarantee": check["user_memory_guarantee"] if memory_bytes(check["user_memory_guarantee"]) else "1K",
        "hub_config": login.hub_config(check),
        "hub_files": hub_files(check),
        "page_folder": PAGE_FOLDER,
        "hub_image": image_parts(hub_image(check)),
        "proxy_image": image_parts(artifact("configurable-http-proxy")["image"]),
        "pause_image": image_parts(artifact("pause")["image"]),
        "user_image": image_parts(check["user_image"]),
        "vo_images": [image_parts(image) for image in login.vo_images(check)],
        # As long as there is something to migrate.
        "has_migration": check["oauth"].get("user_names") == "preferred_username",
    }


def section(values: Any, *keys: str) -> Mapping[str, Any]:
    """Return a section of the site's values of the chart, empty where there is none."""
    for key in keys:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values if isinstance(values, Mapping) else {}


def db_volume(check: Check) -> str:
    """Return the name of the volume of the hub's database."""
    return f"{check['namespace']}-hub-db"


def memory_bytes(text: str) -> float | None:
    """Return the bytes of an amount of memory such as 2G, none where it is no such amount."""
    match = MEMORY.fullmatch(text)
    return float(match[1]) * 1024.0 ** " KMGT".index(match[2] or " ") if match else None


def image_parts(image: str) -> dict[str, str]:
    """Return name and tag of an image as the chart takes them."""
    name, _colon, tag = image.rpartition(":")
    return {"name": name, "tag": tag}


def hub_image(check: Check) -> str:
    """Return the hub's image, whose version is the chart's."""
    return artifact("k8s-hub", check["chart_version"])["image"]


def images(check: Check) -> list[str]:
    """Return the images that the nodes fetch for the hub and for users."""
    own = [artifact(name)["image"] for name in ("configurable-http-proxy", "pause")]
    return [hub_image(check), *own, check["user_image"], *login.vo_images(check)]


def hub_files(check: Check) -> dict[str, dict[str, str]]:
    """Return the hub's modules and pages, and the CA of the login, as files of its container."""
    files = {name: _hub_file(login.HUB_FOLDER, source, name) for name, source in SHARED_SOURCES.items()}
    for source in sorted((ROLES / "jupyterhub/files").iterdir()):
        if source.suffix in (".py", ".html"):
            files[source.name] = _hub_file(login.HUB_FOLDER if source.suffix == ".py" else PAGE_FOLDER, source)
    if check["oauth_ca_file"]:
        files["oauth-ca.crt"] = {"mountPath": login.CA_PATH, "stringData": login.ca_content(check)}
    return files


def _hub_file(folder: str, source: Path, name: str = "") -> dict[str, str]:
    text = source.read_text(encoding="utf-8").rstrip()
    return {"mountPath": f"{folder}/{name or source.name}", "stringData": text}


# --- What users' servers don't reach ---
def nfs_servers(check: Check, objects: Iterable[Object], is_name: bool = True) -> list[str]:
    """Return the NFS servers of the namespace's volumes: those given by name, or those given by address."""
    found = set()
    for item in objects:
        spec = item.get("spec", {}) if item["kind"] == "PersistentVolume" else {}
        if "nfs" in spec and spec.get("claimRef", {}).get("namespace") == check["namespace"]:
            found.add(spec["nfs"]["server"])
    return sorted(server for server in found if _is_address(server) != is_name)


def closing_values(check: Check, objects: Sequence[Object], nfs_hosts: Iterable[str] = ()) -> dict[str, Any]:
    """Return values of the chart by which users' servers don't reach the cluster's own public addresses.

    They are merged over the site's, and keep its rules. Empty where only private networks are closed, which the chart
    does itself, or where the site decides whether the world is open. `nfs_hosts` are lines of `getent ahosts`.
    """
    policy = section(check["values"], "singleuser", "networkPolicy")
    closed = closed_networks(check, objects, nfs_hosts)
    if not closed or "nonPrivateIPs" in section(policy, "egressAllowRules"):
        return {}
    world = {"cidr": "0.0.0.0/0", "except": [*PRIVATE, METADATA_SERVER, *closed]}
    edges = [item for item in _nodes(objects) if EDGE_LABEL in item["metadata"].get("labels", {})]
    egress = [
        *(policy.get("egress") or []),
        {"to": [{"ipBlock": world}]},
        *({"to": [{"ipBlock": {"cidr": cidr}}], "ports": WEB_PORTS} for cidr in _public(_addresses(edges))),
    ]
    return {"singleuser": {"networkPolicy": {"egressAllowRules": {"nonPrivateIPs": False}, "egress": egress}}}


def closed_networks(check: Check, objects: Sequence[Object], nfs_hosts: Iterable[str] = ()) -> list[str]:
    """Return the public networks that users' servers must not reach: the site's, the nodes' and the homes' server's."""
    pods = [item.get("spec", {}).get("podCIDR", "") for item in _nodes(objects)]
    servers = [line.split()[0] for line in nfs_hosts if line.strip()] + nfs_servers(check, objects, is_name=False)
    return sorted({*check["user_closed_networks"], *_public([*_addresses(_nodes(objects)), *pods, *servers])})


def _nodes(objects: Iterable[Object]) -> list[Object]:
    return [item for item in objects if item["kind"] == "Node"]


def _addresses(nodes: Iterable[Object]) -> list[str]:
    """Return the addresses of nodes, host names aside."""
    return [
        address["address"]
        for node in nodes
        for address in node.get("status", {}).get("addresses", ())
        if address["type"] in ADDRESS_TYPES
    ]


def _is_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_network(text))
    except ValueError:
        return False


def _public(texts: Iterable[str]) -> list[str]:
    """Return those of these addresses and networks that are public IPv4 ones, as networks."""
    networks = [ipaddress.IPv4Network(text) for text in texts if text and ":" not in text]
    return [str(network) for network in networks if not any(network.subnet_of(local) for local in LOCAL)]


# --- Secrets ---
def client_secret(check: Check) -> str:
    """Return the secret of the client without whitespace around it; empty where its file is unreadable."""
    if check["oauth_client_secret"]:
        return check["oauth_client_secret"].strip()
    try:
        return check.read(check["oauth_client_secret_file"]).decode().strip()
    except (AnsibleError, OSError, UnicodeError):
        return ""


def secret_data(check: Check, found: Sequence[Object]) -> dict[str, str]:
    """Return the data of the hub's Secret. What was generated once is kept: the hub could not read its database."""
    old = (found[0].get("data") or {}) if found else {}
    made = {key: old.get(key) or _base64(secrets.token_hex(32)) for key in GENERATED}
    return made | {"oauth_client_secret": _base64(client_secret(check))}


def secret_checksum(data: Mapping[str, str]) -> str:
    """Return a checksum that changes with the hub's secrets. Their random part keeps anybody from guessing back."""
    return hashlib.sha256(json.dumps(dict(data), sort_keys=True).encode()).hexdigest()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
