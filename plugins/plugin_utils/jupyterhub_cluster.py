# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role jupyterhub derives from the cluster's objects, as M(egi.notebooks.cluster_info) returns them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ansible_collections.egi.notebooks.plugins.plugin_utils.check import Check, must, shown
from ansible_collections.egi.notebooks.plugins.plugin_utils.jupyterhub_values import Object, db_volume, section

#: The label by which the collection knows the objects that it has created.
OWN_LABEL = ("app.kubernetes.io/part-of", "egi-notebooks")
TOKEN_RIGHTS = "egi-notebooks-access-tokens"
#: The name that the chart gives to its claim.
DB_CLAIM = "hub-db-dir"
#: What the role creates in the namespace, as kubectl takes it. The volume of the database stays.
OWN_OBJECTS = (
    "secret/egi-notebooks-hub",
    "limitrange/egi-notebooks",
    f"rolebinding/{TOKEN_RIGHTS}",
    f"role/{TOKEN_RIGHTS}",
)
#: Users' servers and their access tokens, which nothing would remove once the hub is gone.
USER_OBJECTS = "component in (singleuser-server,singleuser-access-token)"


def select(objects: Iterable[Object], kind: str, name: str = "") -> list[Object]:
    """Return the objects of a kind, or those of them that have a name."""
    return [item for item in objects if item["kind"] == kind and name in ("", item["metadata"]["name"])]


def is_own(item: Object) -> bool:
    """Tell whether the collection has created an object."""
    return (item["metadata"].get("labels") or {}).get(OWN_LABEL[0]) == OWN_LABEL[1]


# --- Objects beside the chart's ---
def object_data(check: Check, objects: Sequence[Object]) -> dict[str, Any]:
    """Return what the template of the Kubernetes objects interpolates beside the role's variables."""
    volumes = select(objects, "PersistentVolume", db_volume(check))
    account = section(check["values"], "hub", "serviceAccount").get("name")
    return {
        "db_volume": db_volume(check),
        "db_claim": DB_CLAIM,
        "db_node": db_node(check, objects),
        # A claim that is created again gets the same volume again: the identity of the old one goes.
        "volume_is_released": any(item.get("status", {}).get("phase") == "Released" for item in volumes),
        "keeps_tokens": keeps_tokens(check),
        "token_rights": TOKEN_RIGHTS,
        "hub_account": account or "hub",
    }


def keeps_tokens(check: Check) -> bool:
    """Tell whether the hub keeps users' access tokens in Secrets, for which the chart gives it no rights."""
    return bool(check["oauth"].get("access_token_file"))


def surplus_objects(check: Check, objects: Sequence[Object]) -> list[Object]:
    """Return the rights that the hub no longer needs."""
    if keeps_tokens(check):
        return []
    return [
        {key: item[key] for key in ("apiVersion", "kind", "metadata")}
        for kind in ("Role", "RoleBinding")
        for item in select(objects, kind, TOKEN_RIGHTS)
    ]


# --- The node of the database ---
def db_node(check: Check, objects: Sequence[Object]) -> str:
    """Return the node of the database: the chosen one, that of the volume, or the first that takes ordinary pods."""
    place = db_place(check, objects)
    nodes = sorted(item["metadata"]["name"] for item in select(objects, "Node") if not item["spec"].get("taints"))
    return check["db_node"] or (place[0] if place else next(iter(nodes), ""))


def db_place(check: Check, objects: Sequence[Object]) -> tuple[str, str] | None:
    """Return node and directory of the database's volume if that exists."""
    for item in select(objects, "PersistentVolume", db_volume(check)):
        (term,) = item["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
        return term["matchExpressions"][0]["values"][0], item["spec"]["hostPath"]["path"]
    return None


def cluster_problems(check: Check, objects: Sequence[Object], check_mode: bool = False) -> list[str]:
    """Return what is wrong with the settings on this cluster. In check mode it may not have its workers yet."""
    return list(_cluster_problems(check, objects, check_mode))


def _cluster_problems(check: Check, objects: Sequence[Object], check_mode: bool) -> Iterator[str]:
    place = db_place(check, objects)
    if not check_mode:
        if not select(objects, "PersistentVolumeClaim", check["homes_pvc"]):
            yield check.must(
                "homes_pvc",
                f"a claim in the namespace {check['namespace']}",
                "The role nfs_volumes creates one.",
            )
        nodes = sorted(item["metadata"]["name"] for item in select(objects, "Node"))
        if not db_node(check, objects):
            yield check.must("db_node", "the name of a node, as no node of the cluster takes ordinary pods")
        elif check["db_node"] and not place and check["db_node"] not in nodes:
            yield check.must("db_node", f"the name of a node of the cluster ({', '.join(nodes)}), or empty")
    given = {"db_node": db_node(check, objects), "db_path": check["db_path"]}
    for name, kept in zip(given, place or given.values(), strict=True):
        if given[name] != kept:
            advice = "Kubernetes never moves a volume; see docs/operations.md."
            yield must(check.name(name), f"{shown(kept)}, where the volume {db_volume(check)} is", given[name], advice)


# --- What tasks/remove.yml deletes ---
def removals(check: Check, objects: Sequence[Object]) -> list[list[str]]:
    """Return the arguments of `kubectl delete` for what is left after the chart.

    The namespace goes if the collection has created it and it has no pods of others and no claims but the database's.
    """
    namespaces = select(objects, "Namespace", check["namespace"])
    if not namespaces:
        return []
    others = [pod for pod in select(objects, "Pod") if (pod["metadata"].get("labels") or {}).get("app") != "jupyterhub"]
    others += [claim for claim in select(objects, "PersistentVolumeClaim") if claim["metadata"]["name"] != DB_CLAIM]
    if is_own(namespaces[0]) and not others:
        return [["namespace", check["namespace"]]]
    inside = f"--namespace={check['namespace']}"
    return [["pods,secrets", f"--selector={USER_OBJECTS}", inside], [*OWN_OBJECTS, inside]]
