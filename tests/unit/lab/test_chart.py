# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's chart: rendered by helm, and the hub's configuration in it loaded into the hub's own packages."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from jupyterhub.app import JupyterHub
from jupyterhub.crypto import CryptKeeper
from jupyterhub.objects import Hub, Server
from jupyterhub.proxy import ConfigurableHTTPProxy
from jupyterhub.spawner import Spawner
from kubernetes_asyncio.client import ApiClient
from kubespawner import KubeSpawner
from kubespawner.slugs import safe_slug
from oauthenticator.generic import GenericOAuthenticator
from traitlets.config import Config, PyFileConfigLoader

CHART = Path(__file__).parents[3] / "lab/charts/jupyterhub"
CLASSES = {
    cls.__name__: cls
    for cls in (JupyterHub, CryptKeeper, ConfigurableHTTPProxy, Spawner, KubeSpawner, GenericOAuthenticator)
}

#: What this chart lacks, switched off: the least that renders.
LEAST = {
    "prePuller": {"hook": {"enabled": False}, "continuous": {"enabled": False}},
    "scheduling": {"userScheduler": {"enabled": False}},
}


def merged(below: dict, above: dict) -> dict:
    return {
        **below,
        **{
            key: merged(below[key], value) if isinstance(value, dict) and isinstance(below.get(key), dict) else value
            for key, value in above.items()
        },
    }


#: Values as the jupyterhub role gives them.
SITE = merged(
    LEAST,
    {
        "hub": {
            "existingSecret": "hub-site",
            "config": {
                "JupyterHub": {"authenticator_class": "generic-oauth"},
                "GenericOAuthenticator": {
                    "client_id": "egi-notebooks",
                    "authorize_url": "https://aai.lab.test/auth",
                    "token_url": "https://aai.lab.test/token",
                    "scope": ["openid", "entitlements"],
                    "enable_auth_state": True,
                    "manage_groups": True,
                    "http_request_kwargs": {"ca_certs": "/etc/egi-notebooks/ca.crt"},
                },
            },
            "extraConfig": {
                "20-second": "c.KubeSpawner.environment['ORDER'] = ORDER + 'b'\n",
                "10-first": "from z2jh import get_config as values\nORDER = values('custom.vo') + 'a'\n",
            },
            "extraFiles": {
                "module": {"mountPath": "/usr/local/etc/jupyterhub/egi.py", "mode": 0o644, "stringData": "X = 1\n"},
                "table": {"mountPath": "/etc/egi/table.json", "data": {"a": [1]}},
                "blob": {"mountPath": "/etc/egi/blob", "binaryData": "aGVs\nbG8=\n"},
            },
            "extraEnv": {
                "PLAIN": "yes",
                "FROM": {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            },
            "services": {"status": {"url": "http://status:8080", "apiToken": "status-token"}},
            "loadRoles": {"status": {"scopes": ["list:users"], "services": ["status"]}},
            "db": {"pvc": {"storageClassName": ""}},
        },
        "proxy": {
            "secretToken": "proxy-token",
            "service": {"type": "ClusterIP"},
            "chp": {"extraEnv": [{"name": "A", "value": "B"}], "nodeSelector": {"role": "edge"}},
        },
        "singleuser": {
            "storage": {
                "type": "static",
                "static": {"pvcName": "homes", "subPath": "{escaped_username}"},
                "extraVolumes": [{"name": "shm", "emptyDir": {"medium": "Memory"}}],
                "extraVolumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}],
            },
            "cloudMetadata": {"blockWithIptables": False},
            "extraEnv": {"A": "1"},
            "extraAnnotations": {"egi.eu/site": "LAB"},
            "networkPolicy": {"egress": [{"to": [{"ipBlock": {"cidr": "10.77.0.14/32"}}]}]},
        },
        "ingress": {"enabled": True, "hosts": ["notebooks.lab.test"], "ingressClassName": "traefik"},
        "custom": {"vo": "vo.notebooks.egi.eu"},
    },
)


@pytest.fixture(scope="session")
def helm() -> str:
    found = os.environ.get("EGI_NOTEBOOKS_HELM") or shutil.which("helm")
    if not found:
        pytest.fail("no helm: `make test` sets EGI_NOTEBOOKS_HELM to the lab's one; by hand, give its path there")
    return found


@pytest.fixture
def template(helm, tmp_path):
    """Run ``helm template`` on values."""

    def run(values: dict) -> subprocess.CompletedProcess:
        file = tmp_path / "values-in.yaml"
        file.write_text(yaml.safe_dump(values))
        command = [helm, "template", "jupyterhub", str(CHART), "--namespace", "hubs", "--kube-version", "1.36.3"]
        return subprocess.run([*command, "--values", str(file)], capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def render(template):
    """The objects made from values, by (kind, name); Secrets decoded."""

    def run(values: dict) -> dict[tuple[str, str], dict]:
        result = template(values)
        assert result.returncode == 0, result.stderr
        assert "<no value>" not in result.stdout
        objects = {}
        for item in filter(None, yaml.safe_load_all(result.stdout)):
            if item["kind"] == "Secret":
                item["data"] = {key: base64.b64decode(value).decode() for key, value in item["data"].items()}
                assert "<no value>" not in item["data"].values()
            objects[item["kind"], item["metadata"]["name"]] = item
        return objects

    return run


@pytest.fixture
def configure(render, tmp_path, monkeypatch):
    """The hub's configuration from values, its files laid out as in the pod."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("POD_NAMESPACE", "hubs")
    monkeypatch.setenv("CONFIGPROXY_AUTH_TOKEN", "proxy-token")

    def run(values: dict, existing: dict[str, str] | None = None) -> Config:
        objects = render(values)
        for folder, data in {
            "config": objects["ConfigMap", "hub"]["data"],
            "secret": objects["Secret", "hub"]["data"],
            "existing-secret": existing or {},
        }.items():
            (tmp_path / folder).mkdir()
            for key, content in data.items():
                (tmp_path / folder / key).write_text(content)
        for name in ("jupyterhub_config.py", "z2jh.py"):
            shutil.copy(tmp_path / "config" / name, tmp_path)
        monkeypatch.delitem(sys.modules, "z2jh", raising=False)
        return PyFileConfigLoader("jupyterhub_config.py", path=str(tmp_path)).load_config()

    yield run
    sys.modules.pop("z2jh", None)


def pod_of(config: Config, monkeypatch, username: str) -> dict:
    """The pod that KubeSpawner makes of a configuration."""
    monkeypatch.setattr("kubespawner.spawner.load_config", lambda **_: None)
    monkeypatch.setattr("kubespawner.spawner.shared_client", lambda _: None)
    user = SimpleNamespace(
        name=username,
        escaped_name=username,
        id=1,
        admin=False,
        groups=[],
        url=f"/user/{username}/",
        server=Server(),
        settings={},
    )
    orm_spawner = SimpleNamespace(
        name="", server=None, oauth_client_id=f"jupyterhub-user-{username}", oauth_client=None, state={}
    )
    hub = Hub(public_host="", base_url="/hub/", connect_url=config.JupyterHub.hub_connect_url)
    spawner = KubeSpawner(
        config=config,
        user=user,
        orm_spawner=orm_spawner,
        hub=hub,
        api_token="token",
        oauth_client_id="client",
        handler=None,
        authenticator=None,
    )

    async def manifest() -> dict:
        async with ApiClient() as client:
            return client.sanitize_for_serialization(await spawner.get_pod_manifest())

    return asyncio.run(manifest())


def container(objects: dict, deployment: str) -> dict:
    return objects["Deployment", deployment]["spec"]["template"]["spec"]["containers"][0]


def test_lints_without_a_complaint(helm, tmp_path):
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(SITE))
    command = [helm, "lint", "--strict", "--kube-version", "1.36.3", "--values", str(values), str(CHART)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("values", [LEAST, SITE], ids=["least", "site"])
def test_objects_have_the_official_names(render, values):
    names = set(render(values))
    expected = {
        ("ConfigMap", "hub"),
        ("Secret", "hub"),
        ("ServiceAccount", "hub"),
        ("Role", "hub"),
        ("RoleBinding", "hub"),
        ("PersistentVolumeClaim", "hub-db-dir"),
        ("Deployment", "hub"),
        ("Deployment", "proxy"),
        ("Service", "hub"),
        ("Service", "proxy-api"),
        ("Service", "proxy-public"),
        ("NetworkPolicy", "hub"),
        ("NetworkPolicy", "proxy"),
        ("NetworkPolicy", "singleuser"),
    }
    assert names - {("Ingress", "jupyterhub")} == expected
    assert (("Ingress", "jupyterhub") in names) is (values is SITE)


def test_services_select_the_pods_by_the_official_labels_and_ports(render):
    objects = render(SITE)
    for service, component, port, target in (
        ("hub", "hub", 8081, "http"),
        ("proxy-api", "proxy", 8001, "api"),
        ("proxy-public", "proxy", 80, "http"),
    ):
        labels = {"component": component, "app": "jupyterhub", "release": "jupyterhub"}
        spec = objects["Service", service]["spec"]
        pod = objects["Deployment", component]["spec"]["template"]["metadata"]["labels"]
        assert spec["selector"] == labels
        assert labels.items() <= pod.items()
        assert [(p["port"], p["targetPort"]) for p in spec["ports"]] == [(port, target)]
        assert target in [p["name"] for p in container(objects, component)["ports"]]
    assert objects["Service", "hub"]["metadata"]["annotations"]["prometheus.io/path"] == "/hub/metrics"


def test_pods_run_without_rights(render):
    objects = render(SITE)
    for name in ("hub", "proxy"):
        pod = objects["Deployment", name]["spec"]["template"]["spec"]
        both = {**pod.get("securityContext", {}), **pod["containers"][0]["securityContext"]}
        assert both["runAsNonRoot"] is True
        assert both["runAsUser"] > 0
        assert both["allowPrivilegeEscalation"] is False
        assert both["capabilities"] == {"drop": ["ALL"]}
        assert both["seccompProfile"] == {"type": "RuntimeDefault"}
        assert objects["Deployment", name]["spec"]["strategy"] == {"type": "Recreate"}


def test_extra_files_and_environment_reach_the_hub(render):
    objects = render(SITE)
    data, hub = objects["Secret", "hub"]["data"], container(objects, "hub")
    assert data["module"] == "X = 1\n"
    assert yaml.safe_load(data["table"]) == {"a": [1]}
    assert data["blob"] == "hello"
    mounts = {mount["mountPath"]: mount for mount in hub["volumeMounts"]}
    assert mounts["/usr/local/etc/jupyterhub/egi.py"] == {
        "name": "files",
        "mountPath": "/usr/local/etc/jupyterhub/egi.py",
        "subPath": "module",
    }
    volumes = {v["name"]: v for v in objects["Deployment", "hub"]["spec"]["template"]["spec"]["volumes"]}
    assert {"key": "module", "path": "module", "mode": 0o644} in volumes["files"]["secret"]["items"]
    assert volumes["existing-secret"]["secret"]["secretName"] == "hub-site"
    env = {entry["name"]: entry for entry in hub["env"]}
    assert env["PLAIN"]["value"] == "yes"
    assert env["FROM"]["valueFrom"] == {"secretKeyRef": {"name": "s", "key": "k"}}
    assert {"name": "A", "value": "B"} in container(objects, "proxy")["env"]


def test_no_storage_class_is_not_the_default_class(render):
    assert render(SITE)["PersistentVolumeClaim", "hub-db-dir"]["spec"]["storageClassName"] == ""
    assert "storageClassName" not in render(LEAST)["PersistentVolumeClaim", "hub-db-dir"]["spec"]


def test_workers_fetch_every_image_that_users_may_choose_and_helm_does_not_wait_for_it(render):
    values = {
        "prePuller": {"continuous": {"enabled": True}, "extraImages": {"tool": {"name": "quay.io/e/tool", "tag": "1"}}},
        "singleuser": {"profileList": [{"display_name": "A", "kubespawner_override": {"image": "quay.io/e/a:2"}}]},
    }
    puller = render(merged(LEAST, values))["DaemonSet", "continuous-image-puller"]["spec"]
    assert puller["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": "100%"}
    pod = puller["template"]["spec"]
    assert {image["name"]: image["image"] for image in pod["initContainers"]} == {
        "image-pull-singleuser": "quay.io/jupyterhub/k8s-singleuser-sample:4.4.0",
        "image-pull-profile-0": "quay.io/e/a:2",
        "image-pull-extra-tool": "quay.io/e/tool:1",
    }
    assert [c["image"] for c in pod["containers"]] == ["registry.k8s.io/pause:3.10.1"]


@pytest.mark.parametrize(
    ("db", "claim", "upgrade"),
    [
        ({"type": "sqlite-pvc"}, True, True),
        ({"type": "sqlite-pvc", "upgrade": False}, True, False),
        ({"type": "sqlite-memory"}, False, False),
        ({"type": "postgres", "url": "postgresql://hub@db/hub"}, False, False),
        ({"type": "postgres", "url": "postgresql://hub@db/hub", "upgrade": True}, False, True),
    ],
)
def test_database_kinds(render, db, claim, upgrade):
    objects = render(merged(LEAST, {"hub": {"db": db}}))
    assert (("PersistentVolumeClaim", "hub-db-dir") in objects) is claim
    assert ("--upgrade-db" in container(objects, "hub")["args"]) is upgrade
    assert ("/srv/jupyterhub" in [m["mountPath"] for m in container(objects, "hub")["volumeMounts"]]) is claim


def test_changed_values_restart_the_hub_alone_and_equal_ones_nothing(render):
    def annotations(values: dict) -> list[dict]:
        objects = render(values)
        return [objects["Deployment", name]["spec"]["template"]["metadata"]["annotations"] for name in ("hub", "proxy")]

    # Without tokens of its own: what the chart generates must not look like a change.
    hub, proxy = annotations(LEAST)
    assert [hub, proxy] == annotations(LEAST)
    changed_hub, same_proxy = annotations(merged(LEAST, {"hub": {"extraConfig": {"a": "pass"}}}))
    assert changed_hub != hub
    assert same_proxy == proxy
    _, changed_proxy = annotations(merged(LEAST, {"proxy": {"secretToken": "x"}}))
    assert changed_proxy != proxy


def test_generated_secrets_are_what_jupyterhub_takes(render):
    data = render(LEAST)["Secret", "hub"]["data"]
    for key in ("JupyterHub.cookie_secret", "CryptKeeper.keys", "ConfigurableHTTPProxy.auth_token"):
        assert len(bytes.fromhex(data[f"hub.config.{key}"])) == 32
    assert render(SITE)["Secret", "hub"]["data"]["hub.config.ConfigurableHTTPProxy.auth_token"] == "proxy-token"


def test_network_policies(render):
    objects = render(SITE)
    user = objects["NetworkPolicy", "singleuser"]["spec"]
    assert user["podSelector"]["matchLabels"]["component"] == "singleuser-server"
    assert user["ingress"] == [
        {
            "ports": [{"port": "notebook-port"}],
            "from": [{"podSelector": {"matchLabels": {"hub.jupyter.org/network-access-singleuser": "true"}}}],
        }
    ]
    assert {"to": [{"ipBlock": {"cidr": "10.77.0.14/32"}}]} in user["egress"]
    private = {"to": [{"ipBlock": {"cidr": cidr}} for cidr in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]}
    assert private not in user["egress"]
    assert private in objects["NetworkPolicy", "hub"]["spec"]["egress"]
    assert {"ports": [{"port": "http"}, {"port": "https"}]} in objects["NetworkPolicy", "proxy"]["spec"]["ingress"]
    off = render(merged(SITE, {"hub": {"networkPolicy": {"enabled": False}}}))
    assert ("NetworkPolicy", "hub") not in off


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"prePuller": {"hook": {"enabled": True}}}, ["prePuller.hook.enabled", "CHART=PATH"]),
        ({"scheduling": {"userScheduler": {"enabled": True}}}, ["scheduling.userScheduler.enabled", "CHART=PATH"]),
        ({"scheduling": {"podPriority": {"enabled": True}}}, ["scheduling.podPriority.enabled"]),
        ({"scheduling": {"userPlaceholder": {"replicas": 2}}}, ["scheduling.userPlaceholder.replicas is 2"]),
        ({"proxy": {"https": {"enabled": True}}}, ["proxy.https.enabled"]),
        ({"hub": {"config": {"JupyterHub": {"services": [{"name": "x"}]}}}}, ["use hub.services"]),
        ({"hub": {"db": {"type": "postgres"}, "existingSecret": None}}, ["hub.db.url must be given"]),
        ({"hub": {"extraEnv": {"A": 1}}}, ["hub.extraEnv.A"]),
        ({"hub": {"extraFiles": {"f": {"stringData": "x"}}}}, ["hub.extraFiles.f has no mountPath"]),
        (
            {"hub": {"extraFiles": {"f": {"mountPath": "/f", "stringData": "x", "binaryData": "eA=="}}}},
            ["exactly one of"],
        ),
        ({"hub": {"extraFiles": {"f": {"mountPath": "/f.txt", "data": {"a": 1}}}}}, ["must end in .yaml"]),
        ({"singleuser": {"storage": {"static": {"pvcName": None}}}}, ["singleuser.storage.static.pvcName"]),
        (
            {
                "singleuser": {
                    "cloudMetadata": {"blockWithIptables": True},
                    "networkPolicy": {"egressAllowRules": {"cloudMetadataServer": True}},
                }
            },
            ["contradict"],
        ),
        ({"hub": {"extraConfg": {}}}, ["'/hub'", "extraConfg"]),
        ({"unheard": 1}, ["unheard"]),
        ({"proxy": {"traefik": {}}}, ["'/proxy'", "traefik"]),
        ({"singleuser": {"storage": {"type": "nfs"}}}, ["/singleuser/storage/type", "static"]),
        ({"hub": {"annotations": {"a": True}}}, ["/hub/annotations/a", "got boolean"]),
    ],
)
def test_refuses_what_it_can_not_do(template, values, words):
    result = template(merged(SITE, values))
    assert result.returncode != 0
    [line] = [line for line in result.stderr.splitlines() if all(word in line for word in words)]
    assert line


@pytest.mark.parametrize(
    "values",
    [
        LEAST,
        SITE,
        merged(
            LEAST,
            {
                "debug": {"enabled": True},
                "imagePullSecrets": ["registry"],
                "scheduling": {"userPods": {"nodeAffinity": {"matchNodePurpose": "require"}}},
                "hub": {
                    "baseUrl": "/hubs/",
                    "namedServerLimitPerUser": 2,
                    "activeServerLimit": 9,
                    "authenticatePrometheus": False,
                    "redirectToServer": False,
                    "shutdownOnLogout": True,
                    "templatePaths": ["/t"],
                    "templateVars": {"a": 1},
                },
                "singleuser": {
                    "profileList": [{"display_name": "Small"}],
                    "defaultUrl": "/lab",
                    "podNameTemplate": "u-{username}",
                    "extraFiles": {"f": {"mountPath": "/etc/f", "mode": 0o444, "stringData": "x"}},
                    "lifecycleHooks": {"postStart": {"exec": {"command": ["true"]}}},
                    "storage": {"dynamic": {"storageClass": "fast", "pvcNameTemplate": "c-{username}"}},
                },
                "cull": {"users": True, "removeNamedServers": True, "adminUsers": False, "maxAge": 5},
            },
        ),
    ],
    ids=["least", "site", "much"],
)
def test_configuration_sets_only_traits_that_exist(configure, values):
    config = configure(values)
    for section, traits in config.items():
        assert set(traits) <= set(CLASSES[section].class_trait_names(config=True)), section
        if section not in ("KubeSpawner", "Spawner"):  # these two want a user: see pod_of
            CLASSES[section](config=config)


def test_site_configuration(configure):
    config = configure(
        SITE,
        existing={
            "hub.config.JupyterHub.cookie_secret": "aa" * 32,
            "hub.config.CryptKeeper.keys": f"{'bb' * 32};{'cc' * 32}",
            "values.yaml": yaml.safe_dump({"hub": {"config": {"GenericOAuthenticator": {"client_secret": "s3cret"}}}}),
        },
    )
    hub = config.JupyterHub
    assert hub.db_url == "sqlite:///jupyterhub.sqlite"
    assert hub.cookie_secret == "aa" * 32
    assert config.CryptKeeper["keys"] == ["bb" * 32, "cc" * 32]
    assert (hub.hub_connect_url, config.ConfigurableHTTPProxy.api_url) == ("http://hub:8081", "http://proxy-api:8001")
    assert hub.authenticator_class == "generic-oauth"
    assert config.GenericOAuthenticator.client_secret == "s3cret"
    assert config.GenericOAuthenticator.client_id == "egi-notebooks"
    assert config.KubeSpawner.namespace == "hubs"
    assert config.KubeSpawner.environment == {"A": "1", "ORDER": "vo.notebooks.egi.euab"}
    assert {service["name"]: service.get("api_token") for service in hub.services} == {
        "jupyterhub-idle-culler": None,
        "status": "status-token",
    }
    assert [role["name"] for role in hub.load_roles] == ["jupyterhub-idle-culler", "status"]
    culler = hub.services[0]["command"]
    assert {"--timeout=3600", "--cull-every=600", "--url=http://localhost:8081/hub/api"} <= set(culler)


def test_lowercase_section_is_fatal(configure):
    with pytest.raises(SystemExit, match=r"hub\.config\.loadRoles"):
        configure(merged(LEAST, {"hub": {"config": {"loadRoles": {"a": {}}}}}))


def test_user_pod(configure, monkeypatch):
    pod = pod_of(configure(SITE), monkeypatch, "a.b@egi.eu")
    labels = pod["metadata"]["labels"]
    assert {
        "component": "singleuser-server",
        "app": "jupyterhub",
        "release": "jupyterhub",
        "app.kubernetes.io/component": "singleuser-server",
        "app.kubernetes.io/managed-by": "kubespawner",
        "hub.jupyter.org/network-access-hub": "true",
    }.items() <= labels.items()
    assert pod["metadata"]["name"] == f"jupyter-{safe_slug('a.b@egi.eu')}"
    assert pod["metadata"]["annotations"]["egi.eu/site"] == "LAB"
    assert pod["metadata"]["annotations"]["hub.jupyter.org/username"] == "a.b@egi.eu"
    spec = pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert "initContainers" not in spec
    [notebook] = spec["containers"]
    assert notebook["ports"] == [{**notebook["ports"][0], "name": "notebook-port", "containerPort": 8888}]
    assert notebook["image"] == "quay.io/jupyterhub/k8s-singleuser-sample:4.4.0"
    assert notebook["args"] == ["jupyterhub-singleuser"]
    assert {(m["name"], m["mountPath"], m.get("subPath")) for m in notebook["volumeMounts"]} == {
        ("home", "/home/jovyan", "a-2eb-40egi-2eeu"),
        ("shm", "/dev/shm", None),
    }
    assert {"name": "home", "persistentVolumeClaim": {"claimName": "homes"}} in spec["volumes"]
    assert notebook["securityContext"]["runAsUser"] == 1000
    assert notebook["securityContext"]["allowPrivilegeEscalation"] is False
    assert spec["securityContext"]["fsGroup"] == 100
    env = {entry["name"]: entry.get("value") for entry in notebook["env"]}
    assert env["JUPYTERHUB_API_URL"] == "http://hub:8081/hub/api"


def test_user_pod_with_the_defaults(configure, monkeypatch):
    pod = pod_of(configure(LEAST), monkeypatch, "member")
    [block] = pod["spec"]["initContainers"]
    assert (block["name"], block["command"][-1]) == ("block-cloud-metadata", "DROP")
    assert {"name": "volume-member", "persistentVolumeClaim": {"claimName": "claim-member"}} in pod["spec"]["volumes"]
    [preferred] = pod["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert preferred["preference"]["matchExpressions"][0]["values"] == ["user"]
    assert [t["value"] for t in pod["spec"]["tolerations"]] == ["user", "user"]


def test_the_role_s_values_make_a_hub_with_our_login(configure, render_role, tmp_path, monkeypatch):
    """From a site's variables through the chart to the hub's own classes; the files of the hub lie in its Secret."""
    site = {
        "egi_notebooks_domain": "notebooks.example.org",
        "egi_notebooks_vos": ["vo.plain", {"name": "vo.rich", "limits": {"memory": "1G"}, "admin": ["boss"]}],
        "jupyterhub_oauth": {
            "environment": "demo",
            "client_id": "x",
            "offline_access": True,
            "access_token_file": True,
            "user_names": "preferred_username",
        },
        "jupyterhub_oauth_client_secret": "s",
    }
    release_data = "lookup('egi.notebooks.decision', 'jupyterhub.release_data', objects=[], secret=[])"
    data = render_role("jupyterhub", release_data, **site)
    values = render_role("jupyterhub", "__jupyterhub_helm_values", **site, __jupyterhub_data=data)
    monkeypatch.syspath_prepend(str(tmp_path / "secret"))
    secrets = {"hub.config.JupyterHub.cookie_secret": "00" * 32, "hub.config.CryptKeeper.keys": "ab" * 32}
    config = configure(values, secrets)
    hub = config.JupyterHub
    authenticator = hub.authenticator_class(config=config)
    assert type(authenticator).__name__ == "CheckinAuthenticator"
    assert authenticator.settings["user_names"] == "preferred_username"
    assert [vo["name"] for vo in authenticator.settings["vos"]] == ["vo.plain", "vo.rich"]
    assert authenticator.scope[-1] == "offline_access"
    assert hub.template_vars["display_name"](None) == ""
    (service,) = [service for service in hub.services if service["name"] == "migrate-users"]
    assert service["admin"] is True
    assert len(service["api_token"]) >= 32
    assert (tmp_path / "secret/hub.services.migrate-users.apiToken").read_text() == service["api_token"]
    assert callable(config.KubeSpawner.profile_list)
    [notebook] = pod_of(config, monkeypatch, "egiabc")["spec"]["containers"]
    assert {mount["mountPath"]: mount.get("subPath") for mount in notebook["volumeMounts"]}["/home/jovyan"] == "egiabc"
