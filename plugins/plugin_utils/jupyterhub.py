# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the role jupyterhub, what it installs, and all that its tasks get from Python."""

from __future__ import annotations

import gzip
import io
import os
import re
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible import constants

from ansible_collections.egi.notebooks.plugins.module_utils.checkin import is_host_name
from ansible_collections.egi.notebooks.plugins.plugin_utils import jupyterhub_login as login
from ansible_collections.egi.notebooks.plugins.plugin_utils import rules
from ansible_collections.egi.notebooks.plugins.plugin_utils.artifacts import addresses, artifact
from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Check, must
from ansible_collections.egi.notebooks.plugins.plugin_utils.jupyterhub_cluster import (
    cluster_problems,
    object_data,
    removals,
    surplus_objects,
)
from ansible_collections.egi.notebooks.plugins.plugin_utils.jupyterhub_values import (
    Object,
    chart_data,
    client_secret,
    closing_values,
    images,
    memory_bytes,
    nfs_servers,
    secret_data,
    section,
)

#: What the lookup egi.notebooks.decision finds here, whichever file has it.
__all__ = [
    "artifacts",
    "cluster_decisions",
    "data_folder_problem",
    "downloads",
    "packed_chart",
    "problems",
    "release_data",
    "removals",
]
SECRET = re.compile(r"[ -~]+")
DISK = re.compile(r"[1-9][0-9]*[KMGT]i")
#: A user name that the hub gives. Others may choose any other as theirs at Check-in.
USER_NAME = re.compile(r"egi[a-z2-7]{26}")


def problems(check: Check) -> Iterator[str]:
    """Yield what is wrong with the settings, the host's view of them, and the login."""
    yield from _site_problems(check)
    yield from _secret_problems(check)
    yield from rules.ca_file_problems(check, "oauth_ca_file")
    yield from _chart_problems(check)
    yield from _user_problems(check)
    yield from _database_problems(check)
    found = login.login_problems(check)
    yield from found
    if not found and is_host_name(check["domain"]) and check["vos"]:
        yield from _login_query_problems(check)


def _site_problems(check: Check) -> Iterator[str]:
    yield from rules.domain_problems(check)
    # In the collection's playbooks the role edge_ingress resolves the name.
    if is_host_name(check["domain"]) and check.query and not check.run.members("edges"):
        answer = check.query("ansible.builtin.getent", database="ahosts", key=check["domain"])
        if "could not be found" in str(answer.get("msg", "")):
            advice = "Add it to DNS with the address of the edge."
            yield check.must("domain", "a name that this host can resolve", advice)
    if not login.login_settings(check)["vos"]:
        yield check.must("vos", "a list of at least one VO, such as [vo.notebooks.egi.eu]")
    if not rules.is_url(check["mirror"]):
        yield check.must("mirror", rules.URL_RULE)


def _secret_problems(check: Check) -> Iterator[str]:
    """Yield what is wrong with the secret of the client, which no message shows."""
    text, path = check.name("oauth_client_secret"), check.name("oauth_client_secret_file")
    if bool(check["oauth_client_secret"]) == bool(check["oauth_client_secret_file"]):
        yield (
            f"Exactly one of {text} and {path} must be given; got "
            f"{'both' if check['oauth_client_secret'] else 'neither'}."
        )
    file_problems = list(rules.control_file(check, "oauth_client_secret_file", "a file with the client's secret"))
    yield from file_problems
    if not (check["oauth_client_secret"] or check["oauth_client_secret_file"]) or file_problems:
        return
    if not SECRET.fullmatch(client_secret(check)):
        rule = "one line of printable ASCII characters, the client's secret"
        if check["oauth_client_secret"]:
            yield must(text, rule, "***")
        else:
            yield check.must("oauth_client_secret_file", f"a readable file that holds {rule}")


def _chart_problems(check: Check) -> Iterator[str]:
    chart, values = check["chart"], check["values"]
    path = Path(chart).expanduser()
    is_chart = (path.is_file() and chart.endswith(".tgz")) or (path / "Chart.yaml").is_file()
    if chart and not (chart[0] in "/~" and is_chart):
        yield check.must("chart", "the absolute path of a chart's directory or .tgz file on the control node, or empty")
    config = section(values, "hub", "config")
    admins = [name for authenticator in config for name in section(config, authenticator).get("admin_users", ())]
    if chosen := sorted({name for name in admins if not USER_NAME.fullmatch(str(name))}):
        # The hub would refuse to start.
        yield must(
            f"admin_users in {check.name('values')}",
            "names of egi and 26 letters and digits, as the hub gives them",
            chosen,
            f"Give admin roles to a VO in {check.name('vos')} instead.",
        )
    if section(values, "singleuser").get("profileList") and (vos := login.vos_with_profiles(check)):
        yield (
            f"{check.name('values')} must not have singleuser.profileList where {check.name('vos')} gives profiles, "
            f"images, limits or storage to {', '.join(vos)}. Keep one of the two."
        )


def _user_problems(check: Check) -> Iterator[str]:
    own = section(check["values"], "singleuser")
    if not rules.is_image(check["user_image"]):
        yield check.must("user_image", f"an image with its tag, such as {artifact('k8s-singleuser-sample')['image']}")
    limit, guarantee = (memory_bytes(check[name]) for name in ("user_memory_limit", "user_memory_guarantee"))
    for name, amount in (("user_memory_limit", limit), ("user_memory_guarantee", guarantee)):
        if amount is None:
            yield check.must(name, "a number with K, M, G or T, such as 2G, or 0")
    # Kubernetes would refuse each server of a user. No limit at all is 0.
    if "memory" not in own and limit and guarantee and limit < guarantee:
        yield check.must("user_memory_limit", _at_least(check, "user_memory_guarantee"))
    if "cpu" not in own and 0 < check["user_cpu_limit"] < check["user_cpu_guarantee"]:
        yield check.must("user_cpu_limit", _at_least(check, "user_cpu_guarantee"))
    if not DISK.fullmatch(check["user_ephemeral_storage_limit"]):
        yield check.must("user_ephemeral_storage_limit", "a number with Ki, Mi, Gi or Ti, such as 20Gi")
    if check["user_idle_timeout"] < 0:
        yield check.must("user_idle_timeout", "a number of seconds, or 0 for never")
    for network in check["user_closed_networks"]:
        yield from rules.network_problems({check.name("user_closed_networks"): network})


def _at_least(check: Check, name: str) -> str:
    return f"at least {check.name(name)}, {check[name]}, or 0 for no limit"


def _database_problems(check: Check) -> Iterator[str]:
    if not re.match("/[^/]", check["db_path"]):
        yield check.must("db_path", "an absolute path on the node's own disk")
    yield from rules.volume_node_problems(check, "db_node")


def _login_query_problems(check: Check) -> list[str]:
    """Query Check-in whether users will be able to log in, where that does not depend on a wrong setting."""
    if not check.query or not check["check_login"] or any(rules.ca_file_problems(check, "oauth_ca_file")):
        return []
    answer = check.query("egi.notebooks.checkin_login_info", **login.login_query(check))
    return list(answer.get("problems", [answer.get("msg", "Check-in could not be queried")]))


# --- What is installed and downloaded ---
def artifacts(check: Check, helm_folder: str, chart_file: str) -> list[dict[str, Any]]:
    """Return Helm and the official chart, as M(egi.notebooks.artifact_install) takes them."""
    found = [_helm(check) | {"path": helm_folder, "unpack": True}]
    if not check["chart"]:
        found.append(_chart(check) | {"checksum": check["chart_checksum"], "path": chart_file, "unpack": False})
    return found


def _helm(check: Check) -> dict[str, str]:
    return artifact("helm", check["helm_version"], check["mirror"])


def _chart(check: Check) -> dict[str, str]:
    return artifact("jupyterhub-chart", check["chart_version"], check["mirror"])


def downloads(check: Check) -> list[str]:
    """Return the files and images to be fetched; not those that a wrong input would name."""
    if not check["check_downloads"]:
        return []
    files = [_helm(check), *([] if check["chart"] else [_chart(check)])] if rules.is_url(check["mirror"]) else []
    return [*addresses(files), *filter(rules.is_image, images(check))]


def packed_chart(check: Check) -> str:
    """Return the path of the given chart as one file on the control node, always with the same bytes.

    A directory travels as one file: copying each of its files takes a round trip apiece.
    """
    source = Path(check["chart"]).expanduser().resolve()
    if source.is_file():
        return str(source)
    handle, packed = tempfile.mkstemp(dir=constants.DEFAULT_LOCAL_TMP, suffix=".tgz")
    with (
        os.fdopen(handle, "wb") as stream,
        gzip.GzipFile("", "wb", fileobj=stream, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for path in sorted([source, *source.rglob("*")]):
            member = _anonymous(archive.gettarinfo(path, str(Path(source.name, path.relative_to(source)))))
            content = path.read_bytes() if member.isreg() else b""
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return a member of an archive without owner, time and mode of the control node."""
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member


# --- What is deployed ---
def cluster_decisions(check: Check, objects: Sequence[Object], check_mode: bool = False) -> dict[str, Any]:
    """Return what follows from the cluster's objects: problems, data of the template, rights to remove, NFS servers."""
    return {
        "problems": cluster_problems(check, objects, check_mode),
        "objects": object_data(check, objects),
        "surplus": surplus_objects(check, objects),
        "nfs_servers": nfs_servers(check, objects),
    }


def release_data(
    check: Check, objects: Sequence[Object], secret: Sequence[Object], nfs_hosts: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the data of the hub's Secret and of the chart's values. `secret` is the Secret that exists, if any."""
    data = secret_data(check, secret)
    return {
        "secret": data,
        "chart": chart_data(check, data),
        "closing": closing_values(check, objects, nfs_hosts),
    }


def data_folder_problem(check: Check) -> str:
    """Return why the database's directory must not be deleted, empty if it may be."""
    return "".join(rules.data_path_problems(check, "db_path"))
