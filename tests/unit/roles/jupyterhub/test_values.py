# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role jupyterhub hands to the chart."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
import tarfile
from pathlib import Path

import jsonschema
import pytest
import yaml

from ansible_collections.egi.notebooks.plugins.plugin_utils import jupyterhub, jupyterhub_values


@pytest.fixture(scope="session")
def schema(root):
    """The schema of the official chart."""
    path = root.parent / "shared/z2jh/values.schema.yaml"
    if not path.exists():
        pytest.skip("the official chart's schema is not beside the repository")
    return yaml.safe_load(path.read_text())


@pytest.fixture(scope="session")
def chart_values(root):
    """The official chart's own values, which Helm merges ours into before it asks the schema."""
    path = root.parent / "shared/z2jh/values.yaml"
    if not path.exists():
        pytest.skip("the official chart's values are not beside the repository")
    return yaml.safe_load(path.read_text())


@pytest.fixture(scope="session")
def values(helm_values):
    return helm_values()


@pytest.fixture(scope="session")
def full_values(helm_values, full_site):
    return helm_values(base=full_site)


def merged(base, over):
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    return base | {key: merged(base.get(key), value) for key, value in over.items()}


@pytest.mark.parametrize("which", ["values", "full_values"])
def test_the_official_chart_takes_the_values(which, schema, chart_values, request):
    made = request.getfixturevalue(which)
    jsonschema.Draft7Validator(schema).validate(merged(chart_values, made))


@pytest.mark.parametrize("which", ["values", "full_values"])
def test_no_secret_is_in_the_values(which, request):
    text = json.dumps(request.getfixturevalue(which))
    assert "correct-horse" not in text
    assert "cookie_secret" not in text


def test_the_values_are_the_same_at_each_run(helm_values, values):
    assert helm_values() == values


def test_what_helm_gives_back_equals_what_it_was_given(full_values):
    def none_in(data):
        items = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
        return data is None or any(none_in(item) for item in items)

    assert json.loads(json.dumps(full_values)) == full_values
    assert not none_in(full_values), "Helm drops keys without a value"


@pytest.mark.parametrize("found", [[], [{}], [{"data": None}], [{"data": {"hub.config.CryptKeeper.keys": "kept"}}]])
def test_what_was_generated_once_is_kept(read_check, site, found):
    check = read_check("jupyterhub", **site)
    made, again = (jupyterhub_values.secret_data(check, found) for _ in range(2))
    assert base64.b64decode(made["oauth_client_secret"]) == b"correct-horse-battery-staple"
    assert re.fullmatch(b"[0-9a-f]{64}", base64.b64decode(made["hub.config.JupyterHub.cookie_secret"]))
    assert made["hub.config.JupyterHub.cookie_secret"] != again["hub.config.JupyterHub.cookie_secret"]
    keys = made["hub.config.CryptKeeper.keys"]
    assert keys == "kept" if found and found[0].get("data") else keys != again["hub.config.CryptKeeper.keys"]
    assert jupyterhub_values.secret_data(check, [{"data": made}]) == made


def test_the_login_is_the_filter_s(values):
    config = values["hub"]["config"]
    assert config["JupyterHub"] == {"authenticator_class": "generic-oauth"}
    login = config["GenericOAuthenticator"]
    assert login["oauth_callback_url"] == "https://notebooks.example.org/hub/oauth_callback"
    assert [vo["groups"] for vo in config["EgiNotebooks"]["vos"]] == [["vo.notebooks.egi.eu"]]
    assert "ca_certs" not in login["http_request_kwargs"]
    assert values["hub"]["extraEnv"]["OAUTH_CLIENT_SECRET"]["valueFrom"]["secretKeyRef"] == {
        "name": values["hub"]["existingSecret"],
        "key": "oauth_client_secret",
    }


def test_a_private_ca_is_mounted_where_the_hub_looks_for_it(full_values):
    file = full_values["hub"]["extraFiles"]["oauth-ca.crt"]
    assert file["stringData"].startswith("-----BEGIN CERTIFICATE-----")
    login = full_values["hub"]["config"]["GenericOAuthenticator"]
    assert login["http_request_kwargs"]["ca_certs"] == file["mountPath"]


def test_a_private_ca_of_the_mirror_does_not_vouch_for_the_public_check_in(helm_values, full_site):
    made = helm_values(base=full_site, jupyterhub_oauth={"environment": "demo", "client_id": "x"})
    assert "ca_certs" not in made["hub"]["config"]["GenericOAuthenticator"]["http_request_kwargs"]


def test_the_hub_gets_the_very_files_of_the_collection(values, root):
    files = values["hub"]["extraFiles"]
    sources = {path.name: path for path in (root / "roles/jupyterhub/files").iterdir() if path.is_file()}
    for name in ("entitlement", "traits"):
        sources[f"egi_notebooks_{name}.py"] = root / f"plugins/module_utils/{name}.py"
    assert {"egi_notebooks_hub.py", "403.html", "page.html"} < set(sources)
    assert {name: file["stringData"] for name, file in files.items()} == {
        name: path.read_text().rstrip("\n") for name, path in sources.items()
    }
    # The hub imports from the folder of its configuration, and finds the page in its own templates.
    assert {file["mountPath"].rpartition("/")[0] for name, file in files.items() if name.endswith(".py")} == {
        "/usr/local/etc/jupyterhub"
    }
    for name, file in files.items():
        if name.endswith(".html"):
            assert file["mountPath"].rpartition("/")[0] in values["hub"]["templatePaths"]


def test_a_changed_secret_changes_an_annotation_of_the_hub(helm_values):
    def annotation(value):
        made = helm_values(jupyterhub_oauth_client_secret=value)
        return made["hub"]["annotations"]["egi.eu/secret-checksum"]

    assert annotation("old") == annotation("old") != annotation("new")


def test_another_chart_is_another_set_of_values(helm_values, values):
    assert values["custom"]["chart"] == "4.4.0"
    assert helm_values(__jupyterhub_chart_copy={"checksum": "abc"})["custom"]["chart"] == "abc"


def test_no_image_is_asked_for_but_those_of_the_manifest(values):
    hub, proxy, user = values["hub"], values["proxy"]["chp"], values["singleuser"]
    assert f"{hub['image']['name']}:{hub['image']['tag']}" == "quay.io/jupyterhub/k8s-hub:4.4.0"
    assert hub["initContainers"][0]["image"] == "quay.io/jupyterhub/k8s-hub:4.4.0"
    assert f"{proxy['image']['name']}:{proxy['image']['tag']}" == "quay.io/jupyterhub/configurable-http-proxy:5.3.0"
    assert f"{user['image']['name']}:{user['image']['tag']}" == "quay.io/jupyterhub/k8s-singleuser-sample:4.4.0"
    # Each of these would need one more.
    assert values["scheduling"]["userScheduler"]["enabled"] is False
    assert values["scheduling"]["userPlaceholder"]["enabled"] is False
    assert values["prePuller"]["hook"] == {"enabled": False}
    assert values["prePuller"]["continuous"] == {"enabled": True}
    assert values["prePuller"]["pause"]["image"]["name"] == "registry.k8s.io/pause"
    assert user["cloudMetadata"]["blockWithIptables"] is False


def test_images_of_profiles_are_fetched_in_advance(read_check, values, full_values, full_site):
    assert values["prePuller"]["extraImages"] == {}
    assert full_values["prePuller"]["extraImages"] == {
        "vo-0": {"name": "registry.example.org:5000/tensors", "tag": "1"},
        "vo-1": {"name": "quay.io/r", "tag": "2"},
    }
    images = jupyterhub_values.images(read_check("jupyterhub", **full_site))
    assert images[-2:] == ["registry.example.org:5000/tensors:1", "quay.io/r:2"]


def test_the_secret_is_read_without_whitespace_around_it(read_check, site, tmp_path):
    (tmp_path / "secret").write_text("\n  correct-horse \r\n\n")
    for given in (
        {"jupyterhub_oauth_client_secret": " correct-horse\n"},
        {"jupyterhub_oauth_client_secret": "", "jupyterhub_oauth_client_secret_file": str(tmp_path / "secret")},
    ):
        assert jupyterhub_values.client_secret(read_check("jupyterhub", **site | given)) == "correct-horse"
    gone = {"jupyterhub_oauth_client_secret": "", "jupyterhub_oauth_client_secret_file": "/no/file"}
    assert jupyterhub_values.client_secret(read_check("jupyterhub", **site | gone)) == ""


def test_the_file_of_the_secret_may_be_encrypted(read_check, site):
    given = {"jupyterhub_oauth_client_secret": "", "jupyterhub_oauth_client_secret_file": "/vaulted"}
    check = dataclasses.replace(
        read_check("jupyterhub", **site | given), read=lambda path: f"decrypted {path}\n".encode()
    )
    assert jupyterhub_values.client_secret(check) == "decrypted /vaulted"


def test_no_database_of_a_user_s_server_lies_in_the_home(values):
    text = json.dumps([file["data"] for file in values["singleuser"]["extraFiles"].values()])
    assert text.count(".sqlite") == 4
    assert "/home" not in text
    assert values["singleuser"]["extraEnv"]["JUPYTER_RUNTIME_DIR"].startswith("/tmp/")


PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.169.254/32"]
WEB = [{"port": 80}, {"port": 443}]


def cluster_at(master: str, edge: str, nfs: str) -> list[dict]:
    """The objects of a cluster whose hosts have these addresses."""

    def node(name, address, labels):
        addresses = [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}]
        return {"kind": "Node", "metadata": {"name": name, "labels": labels}, "status": {"addresses": addresses}}

    def volume(server, namespace):
        spec = {"nfs": {"server": server}, "claimRef": {"namespace": namespace}}
        return {"kind": "PersistentVolume", "metadata": {"name": server}, "spec": spec}

    return [
        node("m", master, {}) | {"spec": {"podCIDR": "100.64.0.0/24"}},
        node("e", edge, {"egi.eu/edge": "true"}) | {"spec": {"podCIDR": "10.244.1.0/24"}},
        volume(nfs, "jupyterhub"),
        volume("elsewhere.example.org", "other"),
        {"kind": "PersistentVolume", "metadata": {"name": "unclaimed"}, "spec": {"nfs": {"server": "x"}}},
    ]


def addresses_of(name: str, address: str) -> list[str]:
    """What getent prints for a name."""
    return [f"{address}      STREAM {name}", f"{address}      DGRAM", "2001:db8::1     STREAM"]


@pytest.mark.parametrize("by_name", [True, False])
def test_public_addresses_of_the_cluster_are_closed_to_users(helm_values, read_check, site, schema, by_name):
    cluster = cluster_at("192.0.2.1", "192.0.2.2", "nfs.example.org" if by_name else "192.0.2.3")
    hosts = addresses_of("nfs.example.org", "192.0.2.3") if by_name else []

    def policy(**variables):
        made = helm_values(cluster, hosts, **variables)
        jsonschema.validate(made["singleuser"]["networkPolicy"], schema["properties"]["singleuser"]["properties"]
            ["networkPolicy"])  # fmt: skip
        return made["singleuser"]["networkPolicy"]

    own = ["100.64.0.0/24", "192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32"]
    world = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": PRIVATE + own}}]}
    web = {"to": [{"ipBlock": {"cidr": "192.0.2.2/32"}}], "ports": WEB}
    closed = {"cloudMetadataServer": False, "nonPrivateIPs": False}
    assert policy() == {"enabled": True, "egressAllowRules": closed, "egress": [world, web]}
    servers = jupyterhub_values.nfs_servers(read_check("jupyterhub", **site), cluster)
    assert servers == (["nfs.example.org"] if by_name else []), "an address needs no query"
    # What the site opens stays open.
    database = {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}]}
    assert policy(jupyterhub_values={"singleuser": {"networkPolicy": {"egress": [database]}}}) == {
        "enabled": True, "egressAllowRules": closed, "egress": [database, world, web],
    }  # fmt: skip
    # A site that decides whether the world is open decides it all.
    for decided in (True, False):
        rules = {"nonPrivateIPs": decided}
        assert policy(jupyterhub_values={"singleuser": {"networkPolicy": {"egressAllowRules": rules}}}) == {
            "enabled": True, "egressAllowRules": {"cloudMetadataServer": False} | rules,
        }  # fmt: skip


def test_networks_are_closed_to_users_that_the_site_names(helm_values, values):
    cluster = cluster_at("10.0.0.1", "172.31.0.2", "nfs.example.org")
    del cluster[0]["spec"]["podCIDR"]
    hosts = addresses_of("nfs.example.org", "192.168.0.3")
    assert helm_values(cluster, hosts) == values
    made = helm_values(cluster, hosts, jupyterhub_user_closed_networks=["203.0.113.0/24"])
    (rule,) = made["singleuser"]["networkPolicy"]["egress"]
    assert rule == {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": [*PRIVATE, "203.0.113.0/24"]}}]}


def test_only_a_hub_with_plain_names_has_the_service_of_the_migration(helm_values, site, values):
    assert values["hub"]["services"] == {}
    made = helm_values(jupyterhub_oauth=site["jupyterhub_oauth"] | {"user_names": "preferred_username"})
    assert made["hub"]["services"] == {"migrate-users": {"admin": True}}


def test_a_site_s_own_values_win(full_values):
    user = full_values["singleuser"]
    assert user["image"] == {"name": "registry.example.org:5000/notebooks/lab", "tag": "2026.1"}
    assert user["cmd"] == ["/usr/local/bin/start", "jupyterhub-singleuser"]
    assert user["memory"] == {"limit": "8G", "guarantee": "1G"}
    assert user["cpu"] == {"limit": 1.5, "guarantee": 1.0}
    assert user["startTimeout"] == 120
    assert user["storage"]["static"] == {"pvcName": "people", "subPath": "{escaped_username}"}
    assert full_values["cull"]["enabled"] is False
    assert full_values["cull"]["timeout"] == 600
    assert full_values["ingress"] == {
        "enabled": True,
        "ingressClassName": "nginx",
        "hosts": ["notebooks.lab.test"],
        "tls": [{"hosts": ["notebooks.lab.test"], "secretName": "tls"}],
    }
    for policy in (full_values["hub"]["networkPolicy"], full_values["proxy"]["chp"]["networkPolicy"]):
        assert policy["ingress"][0]["from"][0]["namespaceSelector"]["matchLabels"] == {
            "kubernetes.io/metadata.name": "metrics"
        }


def test_files_come_from_the_mirror(read_check, full_site):
    helm, chart = jupyterhub.artifacts(read_check("jupyterhub", **full_site), "/helm", "/chart.tgz")
    assert (helm["path"], helm["unpack"], chart["path"], chart["unpack"]) == ("/helm", True, "/chart.tgz", False)
    assert {item["url"].startswith("https://mirror.lab.test/") for item in (helm, chart)} == {True}
    own = full_site | {"jupyterhub_chart": "/chart", "jupyterhub_chart_checksum": "sha256:1"}
    assert [item["name"] for item in jupyterhub.artifacts(read_check("jupyterhub", **own), "/h", "/c")] == ["helm"]


@pytest.mark.parametrize("none", [0, "0", "0.0"])
def test_zero_means_zero(helm_values, schema, chart_values, none):
    names = ("cpu_limit", "cpu_guarantee", "memory_limit", "memory_guarantee", "idle_timeout")
    made = helm_values(**{f"jupyterhub_user_{name}": int(float(none)) if "_t" in name else none for name in names})
    jsonschema.Draft7Validator(schema).validate(merged(chart_values, made))
    # Kubernetes takes a limit for the request where there is none, and the chart drops a request of 0.
    assert made["singleuser"]["cpu"] == {"limit": 0.0, "guarantee": 0.001}
    assert made["singleuser"]["memory"] == {"limit": str(none), "guarantee": "1K"}
    # The chart drops a timeout of 0 as well, and the culler's own is ten minutes.
    assert made["cull"]["enabled"] is False


def test_the_hub_s_pages_say_what_the_site_is(helm_values, tmp_path):
    (tmp_path / "logo.svg").write_text("<svg/>")
    links = [{"title": "Terms of use", "url": "https://example.org/terms"}]
    made = helm_values(jupyterhub_site={"name": "Ours", "logo": str(tmp_path / "logo.svg"), "links": links})
    site = made["hub"]["config"]["EgiNotebooks"]["site"]
    assert (site["name"], site["links"]) == ("Ours", links)
    assert site["logo"].startswith("data:image/svg+xml;base64,")


def test_jupyterlab_does_not_ask_users_for_news(values):
    file = values["singleuser"]["extraFiles"]["overrides.json"]
    assert file["mountPath"] == "/etc/jupyter/labconfig/default_setting_overrides.json"
    assert file["data"] == {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}


def test_texts_of_a_site_reach_the_hub_as_they_are(helm_values):
    profile = {"name": "Große Analyse 🚀 – #1", "description": "it's: 'x', \\ and {}".replace("{}", "y")}
    made = helm_values(egi_notebooks_vos=[{"name": "vo.a", "profiles": [profile]}])
    (found,) = made["hub"]["config"]["EgiNotebooks"]["vos"][0]["profiles"]
    assert (found["display_name"], found["description"]) == (profile["name"], profile["description"])


def test_a_chart_s_directory_is_packed_to_the_same_bytes(read_check, site, tmp_path):
    def pack(folder):
        return Path(jupyterhub.packed_chart(read_check("jupyterhub", **site, jupyterhub_chart=str(folder))))

    for copy, mode in (("a", 0o600), ("b", 0o644)):
        (tmp_path / copy / "hub/templates").mkdir(parents=True)
        for name in ("Chart.yaml", "templates/x.yaml"):
            path = tmp_path / copy / "hub" / name
            path.write_text(name)
            path.chmod(mode)
            os.utime(path, (mode, mode))
    packed = [pack(tmp_path / copy / "hub") for copy in "ab"]
    assert packed[0].read_bytes() == packed[1].read_bytes()
    with tarfile.open(packed[0]) as archive:
        assert archive.getnames() == ["hub", "hub/Chart.yaml", "hub/templates", "hub/templates/x.yaml"]
        assert archive.extractfile("hub/templates/x.yaml").read() == b"templates/x.yaml"
    assert pack(packed[0]) == packed[0]
