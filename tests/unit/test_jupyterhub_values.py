# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role jupyterhub hands to the chart, and what its preflight refuses."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml

SITE = {
    "egi_notebooks_domain": "notebooks.example.org",
    "egi_notebooks_vos": ["vo.notebooks.egi.eu"],
    "jupyterhub_oauth": {"environment": "production", "client_id": "egi-notebooks"},
    "jupyterhub_oauth_client_secret": "correct-horse-battery-staple",
}


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
def full_site(tmp_path_factory):
    """A site that sets everything."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    (folder / "secret").write_text("correct-horse-battery-staple\n")
    return {
        "egi_notebooks_domain": "notebooks.lab.test",
        "egi_notebooks_mirror": "https://mirror.lab.test",
        "egi_notebooks_namespace": "notebooks",
        "egi_notebooks_ca_file": str(folder / "ca.crt"),
        "jupyterhub_vos": [
            {"name": "vo.a", "admin": ["vm_operator"]},
            {"name": "vo.b", "groups": ["training"], "roles": ["member"], "assurance": ["https://aai.egi.eu/LoA#High"]},
            {
                "name": "vo.c",
                "images": {"Tensors": "registry.example.org:5000/tensors:1", "R": "quay.io/r:2"},
                "limits": {"cpu": 2, "memory": "4G", "gpu": 1},
                "storage": [{"claim": "data", "path": "/data"}],
            },
        ],
        "jupyterhub_oauth": {
            "issuer": "https://aai.lab.test/auth/realms/egi",
            "client_id": "egi-notebooks",
            "offline_access": True,
            "access_token_file": True,
            "scopes": ["openid", "voperson_id", "entitlements"],
        },
        "jupyterhub_oauth_client_secret_file": str(folder / "secret"),
        "jupyterhub_user_image": "registry.example.org:5000/notebooks/lab:2026.1",
        "jupyterhub_user_command": ["/usr/local/bin/start", "jupyterhub-singleuser"],
        "jupyterhub_user_memory_limit": "4G",
        "jupyterhub_user_memory_guarantee": "1G",
        "jupyterhub_user_cpu_limit": "1.5",
        "jupyterhub_user_cpu_guarantee": 1,
        "jupyterhub_user_start_timeout": "120",
        "jupyterhub_user_idle_timeout": 600,
        "jupyterhub_homes_pvc": "people",
        "jupyterhub_metrics_namespace": "metrics",
        "jupyterhub_ingress_class": "nginx",
        "jupyterhub_ingress_tls": [{"hosts": ["notebooks.lab.test"], "secretName": "tls"}],
        "jupyterhub_values": {"singleuser": {"memory": {"limit": "8G"}}, "cull": {"enabled": False}},
    }


@pytest.fixture(scope="session")
def values(render_role):
    return render_role("jupyterhub", "__jupyterhub_helm_values", **SITE)


@pytest.fixture(scope="session")
def full_values(render_role, full_site):
    return render_role("jupyterhub", "__jupyterhub_helm_values", **full_site)


def merged(base, over):
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    return base | {key: merged(base.get(key), value) for key, value in over.items()}


@pytest.mark.parametrize("site", ["values", "full_values"])
def test_the_official_chart_takes_the_values(site, schema, chart_values, request):
    made = request.getfixturevalue(site)
    jsonschema.Draft7Validator(schema).validate(merged(chart_values, made))


@pytest.mark.parametrize("site", ["values", "full_values"])
def test_no_secret_is_in_the_values(site, request):
    text = json.dumps(request.getfixturevalue(site))
    assert "correct-horse" not in text
    assert "cookie_secret" not in text


def test_the_values_are_the_same_at_each_run(render_role, values):
    assert render_role("jupyterhub", "__jupyterhub_helm_values", **SITE) == values


def test_what_helm_gives_back_equals_what_it_was_given(full_values):
    def none_in(data):
        items = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
        return data is None or any(none_in(item) for item in items)

    assert json.loads(json.dumps(full_values)) == full_values
    assert not none_in(full_values), "Helm drops keys without a value"


@pytest.mark.parametrize(("items", "kept"), [([], {}), ([{}], {}), ([{"data": {"a": "b"}}], {"a": "b"})])
def test_what_the_hub_s_secret_has_is_kept(render_role, items, kept):
    found = {"stdout": json.dumps({"items": items})}
    assert render_role("jupyterhub", "__jupyterhub_secret_old", __jupyterhub_secret_found=found) == kept


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


def test_a_private_ca_of_the_mirror_is_not_asked_about_the_public_check_in(render_role, full_site):
    site = full_site | {"jupyterhub_oauth": {"environment": "demo", "client_id": "x"}}
    made = render_role("jupyterhub", "__jupyterhub_helm_values", **site)
    assert "ca_certs" not in made["hub"]["config"]["GenericOAuthenticator"]["http_request_kwargs"]


def test_the_hub_gets_the_very_files_of_the_collection(values, root):
    files = values["hub"]["extraFiles"]
    sources = {path.name: path for path in (root / "roles/jupyterhub/files").iterdir() if path.is_file()}
    sources["egi_notebooks_entitlement.py"] = root / "plugins/module_utils/entitlement.py"
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


def test_a_changed_secret_changes_an_annotation_of_the_hub(render_role):
    def annotation(value):
        data = {"cookie": "a", "oauth_client_secret": value}
        made = render_role("jupyterhub", "__jupyterhub_helm_values", **SITE, __jupyterhub_secret_data=data)
        return made["hub"]["annotations"]["egi.eu/secret-checksum"]

    assert annotation("old") == annotation("old") != annotation("new")


def test_another_chart_is_another_set_of_values(render_role, values):
    assert values["custom"]["chart"] == "4.4.0"
    made = render_role("jupyterhub", "__jupyterhub_helm_values", **SITE, __jupyterhub_chart_copy={"checksum": "abc"})
    assert made["custom"]["chart"] == "abc"


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


def test_images_of_profiles_are_fetched_before_anybody_asks(render_role, values, full_values, full_site):
    assert values["prePuller"]["extraImages"] == {}
    assert full_values["prePuller"]["extraImages"] == {
        "vo-0": {"name": "registry.example.org:5000/tensors", "tag": "1"},
        "vo-1": {"name": "quay.io/r", "tag": "2"},
    }
    images = render_role("jupyterhub", "__jupyterhub_images", **full_site)
    assert images[-2:] == ["registry.example.org:5000/tensors:1", "quay.io/r:2"]


def test_the_hub_may_change_secrets_for_access_tokens_in_files_alone(render_role, full_site):
    def rights(expression, site, *roles, **variables):
        items = [{"kind": "Role", "metadata": {"name": name}} for name in roles]
        cluster = {"stdout": json.dumps({"items": NODES + items})}
        return render_role("jupyterhub", expression, **site | {"__jupyterhub_cluster": cluster} | variables)

    assert rights("__jupyterhub_keeps_tokens", SITE) is False
    assert rights("__jupyterhub_keeps_tokens", full_site) is True
    assert rights("__jupyterhub_token_rights_found", SITE, "hub") is False
    assert rights("__jupyterhub_token_rights_found", SITE, "hub", "egi-notebooks-access-tokens") is True
    role, binding = rights("__jupyterhub_token_rights", full_site)
    assert role["rules"] == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "patch", "delete"]}]
    assert binding["subjects"][0]["name"] == "hub"
    own = {"hub": {"serviceAccount": {"name": "other"}}}
    binding = rights("__jupyterhub_token_rights", full_site, jupyterhub_values=own)[1]
    assert binding["subjects"][0]["name"] == "other"


def test_the_secret_is_read_without_what_surrounds_it(render_role, tmp_path):
    (tmp_path / "secret").write_text("\n  correct-horse \r\n\n")
    for given in (
        {"jupyterhub_oauth_client_secret": " correct-horse\n"},
        {"jupyterhub_oauth_client_secret": "", "jupyterhub_oauth_client_secret_file": str(tmp_path / "secret")},
    ):
        assert render_role("jupyterhub", "__jupyterhub_client_secret", **SITE | given) == "correct-horse"
    gone = {"jupyterhub_oauth_client_secret": "", "jupyterhub_oauth_client_secret_file": "/no/file"}
    assert render_role("jupyterhub", "__jupyterhub_client_secret", **SITE | gone) == ""


def test_no_database_of_a_user_s_server_lies_in_the_home(values):
    text = json.dumps([file["data"] for file in values["singleuser"]["extraFiles"].values()])
    assert text.count(".sqlite") == 4
    assert "/home" not in text
    assert values["singleuser"]["extraEnv"]["JUPYTER_RUNTIME_DIR"].startswith("/tmp/")


PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.169.254/32"]
WEB = [{"port": 80}, {"port": 443}]


def cluster_at(master: str, edge: str, nfs: str) -> dict:
    """What the role learns about a cluster whose machines have these addresses."""

    def node(name, address, labels):
        addresses = [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}]
        return {"kind": "Node", "metadata": {"name": name, "labels": labels}, "status": {"addresses": addresses}}

    def volume(server, namespace):
        spec = {"nfs": {"server": server}, "claimRef": {"namespace": namespace}}
        return {"kind": "PersistentVolume", "metadata": {"name": server}, "spec": spec}

    items = [
        node("m", master, {}) | {"spec": {"podCIDR": "100.64.0.0/24"}},
        node("e", edge, {"egi.eu/edge": "true"}) | {"spec": {"podCIDR": "10.244.1.0/24"}},
        volume("nfs.example.org", "jupyterhub"),
        volume("elsewhere.example.org", "other"),
        {"kind": "PersistentVolume", "metadata": {"name": "unclaimed"}, "spec": {"nfs": {"server": "x"}}},
    ]
    found = [f"{nfs}      STREAM nfs.example.org", f"{nfs}      DGRAM", "2001:db8::1     STREAM"]
    return {
        "__jupyterhub_cluster": {"stdout": json.dumps({"items": items})},
        "__jupyterhub_nfs_found": {"stdout_lines": found},
    }


def test_public_addresses_of_the_cluster_are_closed_to_users(render_role, schema):
    site = SITE | cluster_at("192.0.2.1", "192.0.2.2", "192.0.2.3")

    def policy(**variables):
        made = render_role("jupyterhub", "__jupyterhub_helm_values", **site | variables)
        jsonschema.validate(made["singleuser"]["networkPolicy"], schema["properties"]["singleuser"]["properties"]
            ["networkPolicy"])  # fmt: skip
        return made["singleuser"]["networkPolicy"]

    own = ["100.64.0.0/24", "192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32"]
    world = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": PRIVATE + own}}]}
    web = {"to": [{"ipBlock": {"cidr": "192.0.2.2/32"}}], "ports": WEB}
    closed = {"cloudMetadataServer": False, "nonPrivateIPs": False}
    assert policy() == {"enabled": True, "egressAllowRules": closed, "egress": [world, web]}
    assert render_role("jupyterhub", "__jupyterhub_nfs_servers", **site) == ["nfs.example.org"]
    # What the site opens beside stays open.
    database = {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}]}
    assert policy(jupyterhub_values={"singleuser": {"networkPolicy": {"egress": [database]}}}) == {
        "enabled": True, "egressAllowRules": closed, "egress": [database, world, web],
    }  # fmt: skip
    # Who says whether the world is open says all.
    for decided in (True, False):
        rules = {"nonPrivateIPs": decided}
        assert policy(jupyterhub_values={"singleuser": {"networkPolicy": {"egressAllowRules": rules}}}) == {
            "enabled": True, "egressAllowRules": {"cloudMetadataServer": False} | rules,
        }  # fmt: skip


def test_networks_are_closed_to_users_that_the_site_names(render_role, values):
    site = SITE | cluster_at("10.0.0.1", "172.31.0.2", "192.168.0.3")
    nodes = json.loads(site["__jupyterhub_cluster"]["stdout"])
    del nodes["items"][0]["spec"]["podCIDR"]
    site["__jupyterhub_cluster"]["stdout"] = json.dumps(nodes)
    assert render_role("jupyterhub", "__jupyterhub_helm_values", **site) == values
    site["jupyterhub_user_closed_networks"] = ["203.0.113.0/24"]
    made = render_role("jupyterhub", "__jupyterhub_helm_values", **site)["singleuser"]["networkPolicy"]
    assert made["egress"] == [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": [*PRIVATE, "203.0.113.0/24"]}}]}]
    site["jupyterhub_user_closed_networks"] = ["203.0.113.0/24", "203.0.113.1/24"]
    (problem,) = render_role("jupyterhub", "__jupyterhub_bad_inputs", **site)
    assert problem.startswith("jupyterhub_user_closed_networks is '203.0.113.1/24'; allowed is an IPv4 network")


def test_only_a_hub_with_plain_names_has_the_service_of_the_migration(render_role, values):
    assert values["hub"]["services"] == {}
    plain = SITE | {"jupyterhub_oauth": SITE["jupyterhub_oauth"] | {"user_names": "preferred_username"}}
    made = render_role("jupyterhub", "__jupyterhub_helm_values", **plain)
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


def test_files_come_from_the_mirror(render_role, full_site):
    for name in ("helm", "chart"):
        assert render_role("jupyterhub", f"__jupyterhub_{name}_artifact.url", **full_site).startswith(
            "https://mirror.lab.test/"
        )


NODES = [
    {"kind": "Node", "metadata": {"name": name}, "spec": {"taints": taints} if taints else {}}
    for name, taints in (("m", [{"key": "x"}]), ("w2", []), ("w1", []))
]
HOMES = {"kind": "PersistentVolumeClaim", "metadata": {"name": "homes"}}


def volume(render_role, *volumes, **variables):
    """The specification of the database's volume; `volumes` are those of the cluster: (spec, phase)."""
    found = [
        {
            "kind": "PersistentVolume",
            "metadata": {"name": "jupyterhub-hub-db"},
            "spec": spec,
            "status": {"phase": phase},
        }
        for spec, phase in volumes
    ]
    cluster = {"stdout": json.dumps({"items": NODES + found})}
    made = render_role("jupyterhub", "__jupyterhub_objects", **SITE | {"__jupyterhub_cluster": cluster} | variables)
    return made[1]["spec"]


def node(spec):
    return spec["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]["values"]


def test_the_database_s_node_is_chosen_once(render_role):
    assert node(volume(render_role)) == ["w1"]
    assert node(volume(render_role, jupyterhub_db_node="w9")) == ["w9"]
    kept = volume(render_role, jupyterhub_db_node="w2")
    assert node(volume(render_role, (kept, "Bound"))) == ["w2"]


def test_the_database_s_node_is_one_and_its_volume_stays(render_role):
    def problems(*volumes, check=False, **variables):
        cluster = {"stdout": json.dumps({"items": [*NODES, HOMES, *volumes]})}
        site = SITE | {"ansible_check_mode": check, "__jupyterhub_cluster": cluster} | variables
        return render_role("jupyterhub", "__jupyterhub_cluster_problems", **site)

    assert problems() == problems(jupyterhub_db_node="w2") == []
    (problem,) = problems(jupyterhub_db_node="host-of-w2")
    assert problem == (
        'jupyterhub_db_node is "host-of-w2"; allowed is the name of a node of the cluster (m, w1, w2), or nothing'
    )
    # It may be there by then.
    assert problems(check=True, jupyterhub_db_node="w3") == []
    there = {
        "kind": "PersistentVolume",
        "metadata": {"name": "jupyterhub-hub-db"},
        "spec": volume(render_role, jupyterhub_db_node="w2", jupyterhub_db_path="/srv/hub"),
    }
    kept = {"jupyterhub_db_path": "/srv/hub"}
    assert problems(there, **kept) == problems(there, jupyterhub_db_node="w2", **kept) == []
    for changed in ({"jupyterhub_db_node": "w1"} | kept, {"jupyterhub_db_path": "/srv/other"}):
        for check in (True, False):
            (problem,) = problems(there, check=check, **changed)
            assert problem.endswith(
                'allowed are "w2" and "/srv/hub", where the volume jupyterhub-hub-db is, which Kubernetes never moves; '
                "see docs/operations.md"
            )


def test_users_need_a_claim_of_the_homes(render_role):
    def problems(check, *items):
        cluster = {"stdout": json.dumps({"items": [*NODES, *items]})}
        site = SITE | {"ansible_check_mode": check, "__jupyterhub_cluster": cluster}
        return render_role("jupyterhub", "__jupyterhub_cluster_problems", **site)

    assert problems(False, HOMES) == problems(True) == []
    assert problems(False) == [
        'jupyterhub_homes_pvc is "homes"; allowed is a claim in the namespace jupyterhub, such as the role nfs_volumes '
        "makes"
    ]


def test_the_database_survives_its_claim(render_role):
    spec = volume(render_role)
    assert spec["persistentVolumeReclaimPolicy"] == "Retain"
    assert "uid" not in spec["claimRef"]
    again = volume(render_role, (spec, "Released"))
    assert again["claimRef"] == spec["claimRef"] | {"uid": None, "resourceVersion": None}


def test_only_objects_that_the_cluster_has_otherwise_are_made(render_role):
    def to_make(*items, check=False):
        cluster = {"stdout": json.dumps({"items": [*NODES, *items]})}
        variables = SITE | {"ansible_check_mode": check, "__jupyterhub_cluster": cluster}
        return [item["kind"] for item in render_role("jupyterhub", "__jupyterhub_objects_to_make", **variables)]

    cluster = {"stdout": json.dumps({"items": NODES})}
    wanted = render_role(
        "jupyterhub", "__jupyterhub_objects + [__jupyterhub_limits]", **SITE | {"__jupyterhub_cluster": cluster}
    )
    assert to_make() == ["Namespace", "PersistentVolume", "LimitRange"]
    # The API would refuse what is to be in a namespace that is not there.
    assert to_make(check=True) == ["Namespace", "PersistentVolume"]
    # It adds what it likes.
    namespace, volume, limits = (
        {**item, "metadata": {**item["metadata"], "uid": "1"}, "status": {}} for item in wanted
    )
    assert to_make(namespace, volume, limits) == []
    namespace["metadata"] = namespace["metadata"] | {"labels": {}}
    assert to_make(namespace, volume, limits) == ["Namespace"]
    assert to_make(volume | {"status": {"phase": "Released"}}) == ["Namespace", "PersistentVolume", "LimitRange"]


#: What is wrong, the variables, and the beginning of the one line that says so.
OWN_PROFILES = {"singleuser": {"profileList": [{"display_name": "All that we have"}]}}
REFUSED = {
    "no_domain": ({"egi_notebooks_domain": ""}, 'egi_notebooks_domain is ""; allowed is'),
    "capitals": (
        {"egi_notebooks_domain": "N.example.org"},
        'egi_notebooks_domain is "N.example.org"; allowed is',
    ),
    "unresolvable": (
        {"egi_notebooks_domain": "notebooks.invalid"},
        'egi_notebooks_domain is "notebooks.invalid", which this host cannot resolve',
    ),
    "no_vo": ({"egi_notebooks_vos": []}, "egi_notebooks_vos is []; allowed is a list"),
    "profiles_twice": (
        {"egi_notebooks_vos": [{"name": "vo.a", "limits": {"cpu": 1}}], "jupyterhub_values": OWN_PROFILES},
        "jupyterhub_values has singleuser.profileList, and egi_notebooks_vos gives profiles, images, limits or storage"
        " to vo.a; allowed are profiles in one of the two",
    ),
    "chosen_admins": (
        {"jupyterhub_values": {"hub": {"config": {"Authenticator": {"admin_users": ["marta", f"egi{'a' * 26}"]}}}}},
        "jupyterhub_values has marta in admin_users; allowed are names of egi and 26 letters",
    ),
    "no_secret": ({"jupyterhub_oauth_client_secret": ""}, "jupyterhub_oauth_client_secret and jupyterhub_oauth_"),
    "two_secrets": (
        {"jupyterhub_oauth_client_secret_file": "/etc/hostname"},
        "jupyterhub_oauth_client_secret and jupyterhub_oauth_client_secret_file are both given",
    ),
    "no_secret_file": (
        {"jupyterhub_oauth_client_secret": "", "jupyterhub_oauth_client_secret_file": "/no/file"},
        'jupyterhub_oauth_client_secret_file is "/no/file"; allowed is the whole path of a file',
    ),
    "blank_secret": (
        {"jupyterhub_oauth_client_secret": " \n"},
        "jupyterhub_oauth_client_secret is blank or not one line of plain text; allowed is the secret of the client",
    ),
    "empty_secret_file": (
        {"jupyterhub_oauth_client_secret": "", "jupyterhub_oauth_client_secret_file": "{{ playbook_dir }}/empty"},
        '/empty", which is blank, unreadable or not one line of plain text; allowed is a file that holds the',
    ),
    "binary_secret_file": (
        {"jupyterhub_oauth_client_secret": "", "jupyterhub_oauth_client_secret_file": "{{ playbook_dir }}/binary"},
        '/binary", which is blank, unreadable or not one line of plain text; allowed is a file that holds the',
    ),
    # It is there, seen from where the run begins; Ansible would look for it beside the playbook.
    "relative_file": (
        {"jupyterhub_oauth_client_secret": "", "jupyterhub_oauth_client_secret_file": "README.md"},
        'jupyterhub_oauth_client_secret_file is "README.md"; allowed is the whole path of a file',
    ),
    "no_ca_file": (
        {"jupyterhub_oauth_ca_file": "/no/ca"},
        'jupyterhub_oauth_ca_file is "/no/ca"; allowed is',
    ),
    "no_chart": ({"jupyterhub_chart": "/no/chart"}, 'jupyterhub_chart is "/no/chart"; allowed is'),
    "image": ({"jupyterhub_user_image": "lab"}, 'jupyterhub_user_image is "lab"; allowed is an image with its tag'),
    "memory": ({"jupyterhub_user_memory_limit": "2Gi"}, 'jupyterhub_user_memory_limit is "2Gi" and'),
    "memory_below_guarantee": (
        {"jupyterhub_user_memory_limit": "1G", "jupyterhub_user_memory_guarantee": "1025M"},
        'jupyterhub_user_memory_limit is "1G"; allowed is no less than jupyterhub_user_memory_guarantee, "1025M"',
    ),
    "cpu_below_guarantee": (
        {"jupyterhub_user_cpu_limit": 1, "jupyterhub_user_cpu_guarantee": "1.5"},
        'jupyterhub_user_cpu_limit is 1; allowed is no less than jupyterhub_user_cpu_guarantee, "1.5"',
    ),
    "disk": (
        {"jupyterhub_user_ephemeral_storage_limit": "10G"},
        'jupyterhub_user_ephemeral_storage_limit is "10G"; allowed is a number with Ki, Mi, Gi or Ti',
    ),
    "path": ({"jupyterhub_db_path": "hub"}, 'jupyterhub_db_path is "hub"; allowed is an absolute path'),
    "no_client": ({"jupyterhub_oauth": {"environment": "demo"}}, "checkin_oauth: client_id is None; allowed is a text"),
    "http_callback": (
        {"jupyterhub_oauth": {"environment": "demo", "client_id": "x", "callback_url": "http://n/hub/oauth_callback"}},
        "checkin_oauth: callback_url is 'http://n/hub/oauth_callback'; allowed is an https:// address",
    ),
    "unknown_key": (
        {"jupyterhub_oauth": {"environment": "demo", "client_id": "x", "vo": ["y"]}},
        "checkin_oauth: settings: unknown key 'vo'; did you mean 'vos'?",
    ),
}
GOOD = {
    "good": {},
    "own_profiles": {"jupyterhub_values": OWN_PROFILES},
    "equal_limits": {
        "jupyterhub_user_memory_limit": "1G",
        "jupyterhub_user_memory_guarantee": "1024M",
        "jupyterhub_user_cpu_limit": 0.1,
    },
    "no_limits": {"jupyterhub_user_memory_limit": 0, "jupyterhub_user_cpu_limit": 0},
    "other_limits": {
        "jupyterhub_user_memory_guarantee": "4G",
        "jupyterhub_values": {"singleuser": {"memory": {"limit": "8G"}}},
    },
}

PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - block:
        - ansible.builtin.include_role:
            name: egi.notebooks.jupyterhub
            tasks_from: preflight
        - ansible.builtin.set_fact:
            message: passed
      rescue:
        - ansible.builtin.set_fact:
            message: "{{ ansible_failed_result.msg }}"
    - ansible.builtin.copy:
        content: "{{ message }}"
        dest: "{{ playbook_dir }}/{{ inventory_hostname }}.txt"
        mode: "0644"
"""


@pytest.fixture(scope="module")
def messages(ansible_playbook, tmp_path_factory):
    """What the role's preflight says to each bad input, and to a good one; each is a host of one run."""
    folder = tmp_path_factory.mktemp("preflight")
    (folder / "empty").write_text(" \n")
    (folder / "binary").write_bytes(b"\x80\xff")
    chart = folder / "chart"
    chart.mkdir()
    (chart / "Chart.yaml").touch()
    # A DNS that knows one name, no download of the chart, no Check-in to ask.
    dns = folder / "bin/getent"
    dns.parent.mkdir()
    dns.write_text('#!/bin/sh\ntest "$2" = notebooks.example.org || exit 2\n')
    dns.chmod(0o755)
    site = SITE | {"jupyterhub_chart": str(chart), "jupyterhub_check_downloads": False, "jupyterhub_check_login": False}
    cases = GOOD | {name: changes for name, (changes, _) in REFUSED.items()}
    (folder / "play.yml").write_text(PLAY)
    hosts = {name: site | changes for name, changes in cases.items()}
    played = ansible_playbook(folder, folder / "play.yml", groups={"cases": {"hosts": hosts}}, tools=dns.parent)
    assert played.status == 0, played.output
    return {name: (folder / f"{name}.txt").read_text() for name in cases}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_with_one_line(messages, case):
    assert any(REFUSED[case][1] in line for line in messages[case].splitlines()), messages[case]


@pytest.mark.parametrize("case", GOOD)
def test_good_input_passes(messages, case):
    assert messages[case] == "passed"
