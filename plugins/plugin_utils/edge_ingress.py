# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the role edge_ingress, and what it derives from files and from the cluster."""

from __future__ import annotations

import base64
import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleError

from ansible_collections.egi.notebooks.plugins.module_utils.checkin import is_host_name
from ansible_collections.egi.notebooks.plugins.plugin_utils import rules
from ansible_collections.egi.notebooks.plugins.plugin_utils.artifacts import artifact
from ansible_collections.egi.notebooks.plugins.plugin_utils.certificate import certificate_problems, is_signed
from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Check, shown

EDGE_LABEL = "egi.eu/edge"
#: What Traefik's rights in a namespace are called.
RIGHTS = "edge-ingress"
FILES = {"tls.crt": "certificate_file", "tls.key": "key_file"}
#: Where distributions have the certificates of known CAs.
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
#: What systems add to a PEM file and servers can't read: a byte order mark, whitespace around lines.
NOISE = re.compile(rb"^(\xef\xbb\xbf|[ \t])+|[ \t\r]+$", re.MULTILINE)

Objects = Iterable[Mapping[str, Any]]


def problems(check: Check) -> Iterator[str]:
    """Yield what is wrong with the settings, the certificate and the cluster's Secret."""
    yield from input_problems(check)
    yield from dns_problems(check)
    yield from file_problems(check)
    if check.query and keeps_secret(check):
        yield from secret_problems(check, read_secret(check))


def input_problems(check: Check) -> Iterator[str]:
    """Yield what is wrong with the settings by themselves."""
    yield from rules.domain_problems(check)
    if check["domain"] in check["aliases"] or not all(map(is_host_name, check["aliases"])):
        yield check.must("aliases", "a list of other host names in lowercase, such as [notebooks.example.com]")
    yield from _source_problems(check)
    yield from rules.ca_file_problems(check)
    if not check["watched_namespaces"] or not all(map(rules.NAMESPACE.fullmatch, check["watched_namespaces"])):
        yield check.must("watched_namespaces", "a list of at least one namespace, such as [jupyterhub]")
    yield from rules.namespace_problems(check, "namespace", "edge")
    yield from rules.tag_problems(check, "version", artifact("traefik")["version"])


def _source_problems(check: Check) -> Iterator[str]:
    """Yield what is wrong with the settings that say where the certificate is."""
    secret, files = check["certificate_secret"], [check[name] for name in FILES.values()]
    if check["tls"] == "selfsigned":
        if secret:
            yield check.must(
                "certificate_secret",
                "empty with edge_ingress_tls selfsigned",
                "The internal CA would write into that Secret. Set edge_ingress_tls to provided.",
            )
        return
    if bool(secret) == all(files):
        yield check.must(
            "certificate_secret",
            "empty or the name of a Secret, and the only source of the certificate",
            f"edge_ingress_certificate_file is {shown(files[0])} and edge_ingress_key_file is {shown(files[1])}. With "
            "edge_ingress_tls provided, set either both files or the Secret.",
        )
    if secret and not rules.OBJECT_NAME.fullmatch(secret):
        yield check.must("certificate_secret", "the name of a Secret: lowercase letters, digits, '-' and '.'")
    if not secret:
        yield from rules.control_file(check, "certificate_file", "a PEM file")
        yield from rules.control_file(check, "key_file", "a PEM file")


def dns_problems(check: Check) -> Iterator[str]:
    """Yield a message if the control node can't resolve the host name."""
    if not check["check_dns"] or not is_host_name(check["domain"]):
        return
    try:
        socket.getaddrinfo(check["domain"], 443)
    except OSError:
        yield check.must(
            "domain",
            "a host name that the control node can resolve",
            "Add a DNS entry with the address of an edge, or set edge_ingress_check_dns to false if only this host "
            "can't resolve it.",
        )


def file_problems(check: Check) -> Iterator[str]:
    """Yield one message with all that is wrong with the provided files."""
    if check["tls"] != "provided" or check["certificate_secret"] or not is_host_name(check["domain"]):
        return
    if not all(re.match("[/~]", check[name]) and _is_file(check[name]) for name in FILES.values()):
        return
    certificate, key = (content.decode("utf-8", "replace") for content in read_files(check).values())
    flaws = pair_problems(check, certificate, key)
    if flaws:
        yield check.must(
            "certificate_file",
            "a certificate that browsers accept, and edge_ingress_key_file its key",
            f"edge_ingress_key_file is {shown(check['key_file'])}. {' '.join(flaws)}",
        )


def pair_problems(check: Check, certificate: str, key: str) -> list[str]:
    """Return what is wrong with a certificate and its key, for all names of the service."""
    trusted = "\n".join(_read(check, path).decode("latin-1") for path in _trusted_files(check))
    found = (certificate_problems(certificate, key, name, trusted) for name in [check["domain"], *check["aliases"]])
    return list(dict.fromkeys(problem for flaws in found for problem in flaws))


def _trusted_files(check: Check) -> list[str]:
    """Return the files of what clients trust, as far as the control node knows: its bundle and the site's CA."""
    return [*filter(_is_file, BUNDLES)][:1] + [*filter(_is_file, [check["ca_file"]])]


def _is_file(path: str) -> bool:
    return bool(path) and os.path.isfile(os.path.expanduser(path))


def _read(check: Check, path: str) -> bytes:
    """Return a file's content; nothing where it can't be read."""
    try:
        return check.read(path)
    except (OSError, AnsibleError):
        return b""


def read_files(check: Check) -> dict[str, bytes]:
    """Return the provided files as servers read them, whichever system wrote them."""
    return {name: NOISE.sub(b"", _read(check, check[setting])).rstrip() for name, setting in FILES.items()}


def split_files(files: str) -> list[str]:
    """Return server.crt, ca.crt and server.key of the internal CA; empty texts for what is missing."""
    parts = [part for part in re.split(r"(?<=-----\n)(?=-----BEGIN)", files) if part]
    return (parts + ["", "", ""])[:3]


def is_internal(check: Check, files: str) -> bool:
    """Return whether the internal CA has signed a certificate that is still good.

    `files` are server.crt, ca.crt and server.key, one after another.
    """
    certificate, authority, key = split_files(files)
    names = [check["domain"], *check["aliases"]]
    return is_signed(certificate, key, authority, names, check["selfsigned_renew_days"])


def secret_data(check: Check, files: str = "") -> dict[str, dict[str, str]]:
    """Return the data of the Secret that the role stores, by its name; nothing for one of the site's own."""
    if check["certificate_secret"]:
        return {}
    certificate, _authority, key = split_files(files)
    pair = {"tls.crt": certificate.encode(), "tls.key": key.encode()}
    content = read_files(check) if check["tls"] == "provided" else pair
    return {secret_name(check): {name: base64.b64encode(text).decode() for name, text in content.items()}}


def secret_name(check: Check) -> str:
    """Return the name of the Secret with the certificate."""
    return check["certificate_secret"] or "edge-certificate"


def keeps_secret(check: Check) -> bool:
    """Return whether the site itself keeps the certificate in the cluster."""
    name = check["certificate_secret"]
    return check["tls"] == "provided" and bool(rules.OBJECT_NAME.fullmatch(name))


def read_secret(check: Check) -> Mapping[str, Any]:
    """Return what M(egi.notebooks.cluster_info) says about the site's Secret."""
    return check.query(
        "egi.notebooks.cluster_info",
        no_log=check["secure_logging"],
        kubeconfig=check["kubeconfig"],
        kinds=["secrets"],
        namespace=check["namespace"],
        name=check["certificate_secret"],
        required=False,
    )


def secret_problems(check: Check, answer: Mapping[str, Any], required: bool = False) -> list[str]:
    """Return what is wrong with the site's Secret. Before the first run there may be no cluster with one."""
    if answer.get("state") != "present":
        reason = answer.get("reason") or answer.get("msg")
        where = f"Secret {check['certificate_secret']} in the namespace {check['namespace']}"
        return [f"The {where} can't be read: {reason}"] if required else []
    flaws = secret_flaws(check, next(iter(answer["objects"]), None))
    rule = (
        f"the name of a Secret of type kubernetes.io/tls in the namespace {check['namespace']}, with a certificate "
        "that browsers accept and its key"
    )
    return [check.must("certificate_secret", rule, " ".join(flaws))] if flaws else []


def secret_flaws(check: Check, secret: Mapping[str, Any] | None) -> list[str]:
    """Return what is wrong with a Secret as the API has it."""
    if secret is None:
        return ["There is none of this name. Create it with kubectl create secret tls."]
    if secret["type"] != "kubernetes.io/tls":
        return [f"It is of type {secret['type']}."]
    if not is_host_name(check["domain"]):
        return []
    # A Secret is served as it is. PEM is ASCII; whatever else is in it is a fault.
    data = secret.get("data") or {}
    certificate, key = (base64.b64decode(data.get(name, "")).decode("latin-1") for name in FILES)
    return pair_problems(check, certificate, key)


def downloads(check: Check) -> list[str]:
    """Return the image that the edges fetch; none by a wrong version."""
    wrong = any(rules.tag_problems(check, "version", ""))
    return [] if wrong else [artifact("traefik", check["version"])["image"]]


def edges(check: Check, cluster: Objects) -> list[str]:
    """Return the names of the nodes on which Traefik runs."""
    del check
    return sorted(item["metadata"]["name"] for item in _nodes(cluster) if _is_edge(item))


def _nodes(cluster: Objects) -> list[Mapping[str, Any]]:
    return [item for item in cluster if item["kind"] == "Node"]


def _is_edge(node: Mapping[str, Any]) -> bool:
    return node["metadata"].get("labels", {}).get(EDGE_LABEL) == "true"


def node_addresses(check: Check, cluster: Objects, edges_only: bool = False) -> list[str]:
    """Return the addresses of the nodes. Pods leave a node by its own address, so Prometheus has one of them."""
    del check
    return sorted(
        entry["address"]
        for item in _nodes(cluster)
        if _is_edge(item) or not edges_only
        for entry in item["status"]["addresses"]
        if entry["type"] == "InternalIP"
    )


def new_namespaces(check: Check, cluster: Objects) -> list[str]:
    """Return the watched namespaces that do not exist. Those that do stay as they are."""
    known = {item["metadata"]["name"] for item in cluster if item["kind"] == "Namespace"}
    return [name for name in check["watched_namespaces"] if name not in known | {check["namespace"]}]


def left_rights(check: Check, cluster: Objects) -> list[dict[str, Any]]:
    """Return Traefik's rights in namespaces that it serves no more."""
    found = []
    for item in cluster:
        namespace = item["metadata"].get("namespace", "")
        subjects = [subject.get("namespace") for subject in item.get("subjects") or ()]
        if item["kind"] == "RoleBinding" and item["metadata"]["name"] == RIGHTS and check["namespace"] in subjects:
            found += [] if namespace in check["watched_namespaces"] else [namespace]
    return [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": RIGHTS, "namespace": namespace},
        }
        for namespace in found
        for kind in ("Role", "RoleBinding")
    ]


def verify_problems(check: Check, answer: Mapping[str, Any]) -> list[str]:
    """Return why Traefik does not run on every edge, from what M(egi.notebooks.cluster_info) returned."""
    if answer.get("state") != "present":
        return [f"The cluster can't be queried: {answer.get('reason') or answer.get('msg', '')}"]
    for item in answer["objects"]:
        if item["kind"] == "DaemonSet" and item["metadata"]["name"] == "traefik":
            ready, wanted = (item["status"].get(name, 0) for name in ("numberReady", "desiredNumberScheduled"))
            if not wanted:
                return [f"Traefik runs on no node; must run on one with the label {EDGE_LABEL}=true."]
            see = f"See kubectl --namespace {check['namespace']} describe pods."
            return [] if ready >= wanted else [f"Traefik is ready on {ready} of {wanted} edges. {see}"]
    return [f"There is no DaemonSet traefik in the namespace {check['namespace']}. Run the role edge_ingress."]
