# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that several roles share: each returns whether a value is good, or yields messages."""

from __future__ import annotations

import ipaddress
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.egi.notebooks.plugins.module_utils.checkin import is_host_name
from ansible_collections.egi.notebooks.plugins.plugin_utils.artifacts import VERSION as TAG
from ansible_collections.egi.notebooks.plugins.plugin_utils.artifacts import artifact
from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Check, must

#: The oldest supported release of each distribution.
SYSTEMS = {"debian": (13,), "ubuntu": (24, 4)}
URL = re.compile(r"https?://[^/@\s]+(/\S*)?")
IMAGE = re.compile(r"[^:@\s]+(:[0-9]+/[^:@\s]+)?:[A-Za-z0-9_][A-Za-z0-9_.-]*")
PATH = re.compile(r"(/[A-Za-z0-9._-]+)+")
OBJECT_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
#: A directory below another one, so that nobody's whole disk, /var or /home is deleted by a wrong variable.
VERSION = re.compile(r"1\.[0-9]+\.[0-9]+")
#: Kubernetes 1.34 is the oldest that the roles' configuration fits.
OLDEST_KUBERNETES = (1, 34)
DOMAIN_RULE = "a fully qualified host name in lowercase, such as notebooks.example.org"
URL_RULE = "a URL without a login, such as https://mirror.example.org, or empty"
RESET_ADVICE = "Remove the host from the inventory, or run kubeadm reset on it if nothing there is needed."
TWIN_ADVICE = {
    "host name": "Change one with hostnamectl.",
    "machine-id": "Empty /etc/machine-id on the copied host and reboot it.",
    "MAC address": "Give the copied host's interface another one.",
}


def is_url(text: str) -> bool:
    """Tell whether a text is an http(s) URL without a login, or empty."""
    return not text or bool(URL.fullmatch(text))


def is_image(text: str) -> bool:
    """Tell whether a text is an image reference with a tag."""
    return bool(IMAGE.fullmatch(text))


def is_path(text: str) -> bool:
    """Tell whether a text is an absolute path of letters, digits, dots, dashes and underscores."""
    return bool(PATH.fullmatch(text))


def version_numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of a version such as 24.04, none where it has none."""
    return tuple(int(number) for number in re.findall("[0-9]+", text))


def is_kubernetes_version(text: str) -> bool:
    """Tell whether a text is a full version of Kubernetes that the roles support."""
    return bool(VERSION.fullmatch(text)) and version_numbers(text)[:2] >= OLDEST_KUBERNETES


def control_file(check: Check, name: str, what: str) -> Iterator[str]:
    """Yield a message unless the setting is empty or the absolute path of a file on the control node."""
    path = check[name]
    # Ansible would look for a relative path elsewhere than this check.
    if path and not re.match("[/~]", path):
        yield check.must(name, f"the absolute path of {what} on the control node")
    elif path and not os.path.isfile(os.path.expanduser(path)):
        yield check.must(name, f"the path of {what}", "There is no such file on the control node.")


def system_problems(node: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a host's operating system."""
    name, version = node["distribution"], node["distribution_version"]
    if name not in SYSTEMS or version_numbers(version) < SYSTEMS[name]:
        yield f"operating system is {name} {version}; must be Debian 13 or Ubuntu 24.04, or newer."
    if node["service_manager"] != "systemd":
        yield f"service manager is {node['service_manager']}; must be systemd."


def clock_problems(node: Mapping[str, Any], limit: float) -> Iterator[str]:
    """Yield a message where the host's clock differs from the control node's by more than `limit` seconds."""
    skew = float(node["clock"]["skew"])
    if abs(skew) > limit:
        yield (
            f"clock is at least {abs(skew)} s {'ahead of' if skew > 0 else 'behind'} the control node's; must be at "
            f"most {limit:g} s (egi_notebooks_maximum_clock_skew). The host's time is "
            f"{'' if node['clock']['synchronised'] else 'not '}synchronised."
        )


def port_problems(
    node: Mapping[str, Any], expected: Mapping[int, Iterable[str]], advice: str, udp_port: int | None = None
) -> Iterator[str]:
    """Yield one message about the TCP ports that other programs than the expected ones listen on.

    `udp_port` is one that the kernel alone may have.
    """
    taken = []
    for item in node["listeners"]:
        is_udp = item["protocol"] == "udp"
        if is_udp and item["port"] == udp_port and item["process"]:
            taken.append(f"{item['port']} (UDP) by {item['process']}")
        elif not is_udp and item["port"] in expected and item["process"] not in expected[item["port"]]:
            taken.append(f"{item['port']} by {item['process'] or 'the kernel'}")
    if taken:
        yield f"port {', '.join(dict.fromkeys(taken))} is in use. {advice}"


def parse_network(text: str) -> ipaddress.IPv4Network:
    """Return a network, or raise ValueError for what Kubernetes would not read as one."""
    network = ipaddress.IPv4Network(text)
    # Python also reads a plain address and a mask of four numbers.
    if str(network) != text:
        raise ValueError("its size must be a number of bits after a slash")
    return network


def network_problems(
    ranges: Mapping[str, str],
    addresses: Iterable[Mapping[str, Any]] | None = None,
    sizes: Mapping[str, tuple[int, int, str]] | None = None,
) -> Iterator[str]:
    """Yield a message for each range (by its variable) that is no network, has a wrong size or overlaps.

    With a host's addresses each range is compared with their networks, otherwise with the other ranges. `sizes` has the
    bits of the largest and the smallest network, and the reason.
    """
    networks = {}
    for name, text in ranges.items():
        try:
            networks[name] = parse_network(text)
        except ValueError as error:
            yield must(name, f"an IPv4 network such as 10.244.0.0/16 ({error})", text)
    for name, (largest, smallest, reason) in (sizes or {}).items():
        if name in networks and not largest <= networks[name].prefixlen <= smallest:
            yield must(name, f"a network from /{largest} to /{smallest} ({reason})", str(networks[name]))
    if addresses is None:
        for one, other in itertools.combinations(networks, 2):
            if networks[one].overlaps(networks[other]):
                yield f"{one} ({networks[one]}) and {other} ({networks[other]}) must not overlap."
        return
    for (name, network), item in itertools.product(networks.items(), addresses):
        if network.overlaps(ipaddress.IPv4Network(item["network"])):
            yield must(
                name,
                f"a network that no host is in ({item['interface']} is in {item['network']})",
                str(network),
            )


def twin_problems(nodes: Mapping[str, Mapping[str, Any]], name: str) -> Iterator[str]:
    """Yield a message for each identity (host name, machine-id, MAC address) that host `name` shares with others."""
    identities = {host: _identities(node) for host, node in nodes.items() if node}
    for kind, value in sorted(identities.get(name, ())):
        owners = sorted(host for host, own in identities.items() if (kind, value) in own)
        if len(owners) > 1:
            yield f"{kind} is {value} on {' and '.join(owners)}; must be unique. {TWIN_ADVICE[kind]}"


def _identities(node: Mapping[str, Any]) -> set[tuple[str, str]]:
    found = {("MAC address", item["mac"]) for item in node["addresses"]}
    found |= {("host name", node["nodename"].lower()), ("machine-id", node["machine_id"])}
    return {(kind, value) for kind, value in found if value}


def _address_host(address: str) -> str:
    """Return the host of an address such as https://192.0.2.10:6443 or kube.example.org:6443."""
    return re.sub("^https://|:[0-9]+$", "", address)


def _is_member(node: Mapping[str, Any], master: Mapping[str, Any], endpoints: Iterable[str]) -> bool:
    """Tell whether a node belongs to the master's cluster, or to an earlier one at the same address."""
    cluster = master["cluster"]
    hosts = {_address_host(address) for address in [cluster["admin_api"], *endpoints]}
    hosts |= {item["address"] for item in master["addresses"]}
    return bool(node["ca"] and node["ca"] == cluster["ca"]) or _address_host(node["api"]) in hosts


def other_cluster_problems(
    node: Mapping[str, Any],
    masters: Mapping[str, Mapping[str, Any]] | None = None,
    endpoints: Iterable[str] = (),
) -> Iterator[str]:
    """Yield a message if the host belongs to another cluster.

    Without `masters` the host is to be the master itself. Where no master is known, no node is rejected.
    """
    own = node["cluster"]
    if masters is None:
        if own["initialised"]:
            return
        rule = "a host of no cluster, or a master that this collection made"
        if own["control_plane"]:
            files = ", ".join(own["control_plane"])
            yield (
                f"host has {files} of a control plane that this collection did not make; must be {rule}. {RESET_ADVICE}"
            )
            return
    else:
        if not masters or any(_is_member(own, master, endpoints) for master in masters.values()):
            return
        rule = f"a host of no cluster, or of the cluster of {' and '.join(masters)}"
    if own["api"]:
        yield f"host is a node of the cluster at {own['api']}; must be {rule}. {RESET_ADVICE}"


def domain_problems(check: Check, name: str = "domain") -> Iterator[str]:
    """Yield a message unless the setting is a public host name."""
    if not is_host_name(check[name]):
        yield check.must(name, DOMAIN_RULE)


def ca_file_problems(check: Check, name: str = "ca_file") -> Iterator[str]:
    """Yield a message unless the setting is empty or the absolute path of certificates on the control node."""
    yield from control_file(check, name, "a file of PEM certificates")


def tag_problems(check: Check, name: str, example: str) -> Iterator[str]:
    """Yield a message unless the setting is the tag of an image."""
    if not TAG.fullmatch(check[name]):
        yield check.must(name, f"the tag of an image, such as {example}")


def namespace_problems(check: Check, name: str, example: str) -> Iterator[str]:
    """Yield a message unless the setting is the name of a Kubernetes namespace."""
    if not NAMESPACE.fullmatch(check[name]):
        yield check.must(name, f"the name of a namespace, such as {example}")


def volume_node_problems(check: Check, name: str) -> Iterator[str]:
    """Yield a message unless the setting is empty or the host name of a node of the inventory.

    Nothing is known where the run has not reached all nodes; the role compares with the cluster's own nodes later.
    """
    known = check.run.known(check.run.nodes)
    names = sorted(node["nodename"] for node in known.values())
    if check[name] and names and len(known) == len(check.run.nodes) and check[name] not in names:
        yield check.must(name, f"the host name of a node ({', '.join(names)}), or empty")


def data_path_problems(check: Check, name: str) -> Iterator[str]:
    """Yield a message unless the setting is a directory that may be deleted with all that is in it.

    It is at least two levels deep, so that a wrong variable deletes no disk, /var or /home.
    """
    parts = check[name].rstrip("/").split("/")
    if len(parts) < 3 or parts[0] or {"", ".", ".."} & set(parts[1:]) or not check[name].isprintable():
        rule = "the absolute path of a directory inside another one, without '.' and '..', such as /srv/hub"
        yield check.must(name, rule, "Everything in it would be deleted.")


def kubernetes_version_problems(check: Check) -> Iterator[str]:
    """Yield a message unless `version` is a version of Kubernetes that the roles support."""
    if not is_kubernetes_version(check["version"]):
        yield check.must("version", f"a full version from 1.34 on, such as {artifact('kubeadm')['version']}")


def address_problems(check: Check, node: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message unless `address` is one of the host's own."""
    own = [item["address"] for item in node["addresses"]]
    if check["address"] not in own:
        rule = f"one of the host's own addresses ({', '.join(own) or 'it has none'})"
        yield check.must("address", rule, "A floating address is none of them.")


def memory_problems(check: Check, node: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """Yield a message if the host has less than `minimum_memory`, unless kubeadm's check of it may fail."""
    if node["memory_mb"] < check["minimum_memory"] and not {"Mem", "all"} & set(check["ignore_preflight_errors"]):
        yield (
            f"memory is {node['memory_mb']} MB; must be at least {check['minimum_memory']} MB{where} "
            f"({check.name('minimum_memory')}). For a test bed add Mem to {check.name('ignore_preflight_errors')}."
        )


def is_ready(item: Mapping[str, Any]) -> bool:
    """Tell whether an object of the cluster, such as a node or a pod, is ready."""
    conditions = item.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
