# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of the role jupyterhub reject, and what they query."""

from __future__ import annotations

import json

import pytest

from ansible_collections.egi.notebooks.plugins.plugin_utils import jupyterhub

#: What is wrong, the variables, and the beginning of the one problem that is reported.
OWN_PROFILES = {"singleuser": {"profileList": [{"display_name": "All that we have"}]}}
LABEL = "a" * 64
REJECTED = {
    "no_domain": ({"egi_notebooks_domain": ""}, "egi_notebooks_domain must be a fully qualified host name"),
    "capitals": ({"egi_notebooks_domain": "N.example.org"}, "egi_notebooks_domain must be a fully qualified host name"),
    "newline": (
        {"egi_notebooks_domain": "n.example.org\n"},
        "egi_notebooks_domain must be a fully qualified host name",
    ),
    "long_tld": ({"egi_notebooks_domain": f"n.{LABEL}"}, "egi_notebooks_domain must be a fully qualified host name"),
    "own_domain": (
        {"jupyterhub_domain": "n"},
        "jupyterhub_domain must be a fully qualified host name in lowercase, such",
    ),
    "no_vo": ({"egi_notebooks_vos": []}, "egi_notebooks_vos must be a list of at least one VO, such as [vo.notebooks"),
    "profiles_twice": (
        {"egi_notebooks_vos": [{"name": "vo.a", "limits": {"cpu": 1}}], "jupyterhub_values": OWN_PROFILES},
        "jupyterhub_values must not have singleuser.profileList where egi_notebooks_vos gives profiles, images, limits "
        "or storage to vo.a. Keep one of the two.",
    ),
    "chosen_admins": (
        {"jupyterhub_values": {"hub": {"config": {"Authenticator": {"admin_users": ["marta", f"egi{'a' * 26}"]}}}}},
        "admin_users in jupyterhub_values must be names of egi and 26 letters and digits, as the hub gives them; got "
        '["marta"]. Give admin roles to a VO in egi_notebooks_vos instead.',
    ),
    "no_secret": (
        {"jupyterhub_oauth_client_secret": ""},
        "Exactly one of jupyterhub_oauth_client_secret and jupyterhub_oauth_client_secret_file must be given; got",
    ),
    "two_secrets": (
        {"jupyterhub_oauth_client_secret_file": "/etc/hostname"},
        "Exactly one of jupyterhub_oauth_client_secret and jupyterhub_oauth_client_secret_file must be given; got b",
    ),
    "no_secret_file": (
        {"jupyterhub_oauth_client_secret": "", "jupyterhub_oauth_client_secret_file": "/no/file"},
        'jupyterhub_oauth_client_secret_file must be the path of a file with the client\'s secret; got "/no/file". '
        "There is no such file on the control node.",
    ),
    "blank_secret": (
        {"jupyterhub_oauth_client_secret": " \n"},
        "jupyterhub_oauth_client_secret must be one line of printable ASCII characters, the client's secret; got \"***",
    ),
    "two_lines": (
        {"jupyterhub_oauth_client_secret": "one\ntwo"},
        "jupyterhub_oauth_client_secret must be one line of printable ASCII characters, the client's secret; got \"***",
    ),
    "empty_secret_file": (
        {"jupyterhub_oauth_client_secret": "", "jupyterhub_oauth_client_secret_file": "FOLDER/empty"},
        "jupyterhub_oauth_client_secret_file must be a readable file that holds one line of printable ASCII characters",
    ),
    "binary_secret_file": (
        {"jupyterhub_oauth_client_secret": "", "jupyterhub_oauth_client_secret_file": "FOLDER/binary"},
        "jupyterhub_oauth_client_secret_file must be a readable file that holds one line of printable ASCII characters",
    ),
    # The file exists as seen from where the run begins. Ansible would look for it beside the playbook.
    "relative_file": (
        {"jupyterhub_oauth_client_secret": "", "jupyterhub_oauth_client_secret_file": "README.md"},
        "jupyterhub_oauth_client_secret_file must be the absolute path of a file with the client's secret on the con",
    ),
    "no_ca_file": (
        {"jupyterhub_oauth_ca_file": "/no/ca"},
        'jupyterhub_oauth_ca_file must be the path of a file of PEM certificates; got "/no/ca". There is no such file',
    ),
    "no_chart": (
        {"jupyterhub_chart": "/no/chart"},
        "jupyterhub_chart must be the absolute path of a chart's directory",
    ),
    "relative_chart": ({"jupyterhub_chart": "lab/charts/jupyterhub"}, "jupyterhub_chart must be the absolute path of"),
    "no_chart_file": ({"jupyterhub_chart": "FOLDER/empty"}, "jupyterhub_chart must be the absolute path of a chart's"),
    "image": (
        {"jupyterhub_user_image": "lab"},
        "jupyterhub_user_image must be an image with its tag, such as quay.io/",
    ),
    "memory": (
        {"jupyterhub_user_memory_limit": "2Gi"},
        "jupyterhub_user_memory_limit must be a number with K, M, G or",
    ),
    "memory_guarantee": (
        {"jupyterhub_user_memory_guarantee": "x"},
        "jupyterhub_user_memory_guarantee must be a number",
    ),
    "memory_below_guarantee": (
        {"jupyterhub_user_memory_limit": "1G", "jupyterhub_user_memory_guarantee": "1025M"},
        "jupyterhub_user_memory_limit must be at least jupyterhub_user_memory_guarantee, 1025M, or 0 for no limit; got "
        '"1G".',
    ),
    "cpu_below_guarantee": (
        {"jupyterhub_user_cpu_limit": 1, "jupyterhub_user_cpu_guarantee": "1.5"},
        "jupyterhub_user_cpu_limit must be at least jupyterhub_user_cpu_guarantee, 1.5, or 0 for no limit; got 1.0.",
    ),
    "disk": (
        {"jupyterhub_user_ephemeral_storage_limit": "10G"},
        'jupyterhub_user_ephemeral_storage_limit must be a number with Ki, Mi, Gi or Ti, such as 20Gi; got "10G".',
    ),
    "idle": (
        {"jupyterhub_user_idle_timeout": -1},
        "jupyterhub_user_idle_timeout must be a number of seconds, or 0 for",
    ),
    "network": (
        {"jupyterhub_user_closed_networks": ["203.0.113.0/24", "203.0.113.1/24"]},
        "jupyterhub_user_closed_networks must be an IPv4 network such as",
    ),
    "mirror": (
        {"egi_notebooks_mirror": "https://u:p@m/x"},
        'egi_notebooks_mirror must be a URL without a login, such as https://mirror.example.org, or empty; got "https://*',
    ),
    "path": ({"jupyterhub_db_path": "hub"}, "jupyterhub_db_path must be an absolute path on the node's own disk; got"),
    "type": ({"jupyterhub_timeout": "soon"}, 'jupyterhub_timeout must be of type int; got "soon".'),
}
GOOD = {
    "good": {},
    "own_profiles": {"jupyterhub_values": OWN_PROFILES},
    "odd_values": {"jupyterhub_values": {"hub": {"config": None}, "singleuser": []}},
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a chart, and with files that hold no secret."""
    path = tmp_path_factory.mktemp("control")
    (path / "empty").write_text(" \n")
    (path / "binary").write_bytes(b"\x80\xff")
    (path / "chart").mkdir()
    (path / "chart/Chart.yaml").touch()
    return path


@pytest.fixture(scope="module")
def problems(role_problems, site, folder):
    """Return a function that gives the problems of a site with these variables."""

    def call(query=None, **variables):
        variables = json.loads(json.dumps(variables).replace("FOLDER", str(folder)))
        return role_problems(
            "jupyterhub", query=query, **site | {"jupyterhub_chart": str(folder / "chart")} | variables
        )

    return call


@pytest.mark.parametrize("case", REJECTED)
def test_bad_input_is_one_problem(problems, case):
    variables, beginning = REJECTED[case]
    (problem,) = problems(**variables)
    assert problem.startswith(beginning)


@pytest.mark.parametrize("case", GOOD)
def test_good_input_passes(problems, case):
    assert problems(**GOOD[case]) == []


@pytest.mark.parametrize(
    ("oauth", "named"),
    [
        ({"environment": "demo"}, "client_id"),
        ({"environment": "demo", "client_id": "x", "callback_url": "http://n/hub/oauth_callback"}, "callback_url"),
        ({"environment": "demo", "client_id": "x", "vo": ["y"]}, "vo"),
    ],
)
def test_a_bad_login_is_one_problem_that_names_the_setting(problems, oauth, named):
    (problem,) = problems(jupyterhub_oauth=oauth)
    assert named in problem


def test_all_is_reported_at_once(problems):
    found = problems(
        egi_notebooks_domain="",
        egi_notebooks_vos=[],
        jupyterhub_oauth={"environment": "demo"},
        jupyterhub_oauth_client_secret="",
        jupyterhub_db_path="hub",
    )
    assert [problem.split(" must ")[0] for problem in found[:4]] == [
        "egi_notebooks_domain",
        "egi_notebooks_vos",
        "Exactly one of jupyterhub_oauth_client_secret and jupyterhub_oauth_client_secret_file",
        "jupyterhub_db_path",
    ]
    assert "client_id" in "".join(found[4:])


def test_each_setting_of_the_login_and_each_vo_has_its_problem(problems):
    found = "\n".join(
        problems(
            egi_notebooks_vos=["vo.a", {"name": "urn:vo"}, {"name": "vo.b", "limits": {"cpu": -1}}],
            jupyterhub_oauth={"environment": "demo", "pkce": "y", "user_names": "mail", "recheck_seconds": 1},
            jupyterhub_site={"nam": "Ours", "logo": "/no/logo.png"},
            jupyterhub_values={"hub": {"config": {"GenericOAuthenticator": {"allow_all": True}}}},
        )
    )
    for name in (
        "jupyterhub_oauth.client_id must be",
        "jupyterhub_oauth.pkce must be",
        "jupyterhub_oauth.user_names must be",
        "jupyterhub_oauth.recheck_seconds must be",
        "egi_notebooks_vos[1].name must be",
        "egi_notebooks_vos[2].limits.cpu must be",
        "jupyterhub_site: each key must be",
        "jupyterhub_site.logo must be",
        "jupyterhub_values.hub.config.GenericOAuthenticator.allow_all must be",
    ):
        assert name in found


def test_no_problem_shows_a_secret(problems):
    found = problems(
        jupyterhub_oauth_client_secret="correct\nhorse", jupyterhub_oauth_client_secret_file="/etc/hostname"
    )
    assert found
    assert not [problem for problem in found if "horse" in problem]


def test_a_volume_s_node_goes_by_its_host_name(role_problems, site):
    groups = {"masters": ["a"], "edges": ["b"], "workers": ["c"], "nfs_servers": ["d"]}

    def say(name, *known, **variables):
        others = {host: {"nodename": f"{host}.site", "addresses": []} for host in known}
        found = role_problems(
            "jupyterhub", others=others, **site | {"groups": groups, "jupyterhub_db_node": name} | variables
        )
        return [problem for problem in found if problem.startswith("jupyterhub_db_node")]

    assert say("c", "a", "b", "c") == [
        'jupyterhub_db_node must be the host name of a node (a.site, b.site, c.site), or empty; got "c".'
    ]
    assert say("c.site", "a", "b", "c") == say("", "a", "b", "c") == []
    # Nothing is known of a, as with --limit. The role queries the cluster.
    assert say("c", "b", "c") == say("c", groups={}) == []


# --- What is queried ---
class Queries:
    """Stands for the host: the name resolves, and Check-in has nothing against the login."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, {}

    def __call__(self, module, environment=None, **arguments):
        self.asked[module] = arguments
        return self.answers.get(module.rpartition(".")[2], {"problems": []})


def test_check_in_is_queried_for_the_login_of_the_hub(problems, full_site):
    query = Queries(checkin_login_info={"problems": ["redirect URI is not registered"]})
    site = full_site | {"jupyterhub_oauth_client_secret": ""}
    assert problems(query, **site) == ["redirect URI is not registered"]
    asked = query.asked["egi.notebooks.checkin_login_info"]
    assert asked["issuer"] == "https://aai.lab.test/auth/realms/egi"
    assert (asked["client_id"], asked["pkce"]) == ("egi-notebooks", True)
    assert asked["redirect_uri"] == "https://notebooks.lab.test/hub/oauth_callback"
    assert {"openid", "offline_access", "eduperson_assurance"} <= set(asked["scopes"])
    assert asked["ca_content"].startswith("-----BEGIN CERTIFICATE-----")
    query = Queries()
    assert problems(query, **site, jupyterhub_check_login=False) == []
    assert "egi.notebooks.checkin_login_info" not in query.asked


def test_an_unreachable_host_is_no_problem_of_the_login(problems):
    assert problems(Queries(checkin_login_info={"msg": "no Python"})) == ["no Python"]


def test_a_name_that_does_not_resolve_is_reported_once(problems):
    unknown = {"failed": True, "msg": "One or more supplied key could not be found in the database."}
    query = Queries(getent=unknown)
    (problem,) = problems(query)
    assert problem == (
        'egi_notebooks_domain must be a name that this host can resolve; got "notebooks.example.org". Add it to DNS '
        "with the address of the edge."
    )
    assert query.asked["ansible.builtin.getent"]["key"] == "notebooks.example.org"
    # There the role edge_ingress reports it.
    assert problems(Queries(getent=unknown), groups={"edges": ["e"]}, hostvars={"a": {}, "e": {}}) == []


@pytest.mark.parametrize(
    ("variables", "is_asked", "known"),
    [
        ({"jupyterhub_db_path": "hub", "jupyterhub_user_image": "image"}, True, ["files", "vo"]),
        ({"egi_notebooks_domain": ""}, False, ["files", "user", "vo"]),
        ({"egi_notebooks_ca_file": "ca.crt"}, False, ["files", "user", "vo"]),
        ({"egi_notebooks_mirror": "mirror"}, True, ["user", "vo"]),
        ({"egi_notebooks_vos": ["urn:vo"]}, False, ["files", "user"]),
        ({"egi_notebooks_vos": []}, False, ["files", "user"]),
    ],
)
def test_what_does_not_depend_on_a_wrong_input_is_queried(problems, read_check, site, variables, is_asked, known):
    own = {
        "egi_notebooks_mirror": "https://m",
        "egi_notebooks_vos": [{"name": "v", "images": {"R": "quay.io/r:2"}}],
        "jupyterhub_oauth": {"client_id": "x", "issuer": "https://127.0.0.1:9/auth/realms/egi"},
        "jupyterhub_chart": "",
    } | variables
    query = Queries()
    assert problems(query, **own)
    assert ("egi.notebooks.checkin_login_info" in query.asked) is is_asked
    downloads = "\n".join(jupyterhub.downloads(read_check("jupyterhub", **site | own)))
    marks = {"files": "https://m/", "user": "k8s-singleuser-sample:", "vo": "quay.io/r:2"}
    assert [name for name, mark in marks.items() if mark in downloads] == known
    assert "k8s-hub:" in downloads
    assert jupyterhub.downloads(read_check("jupyterhub", **site | own, egi_notebooks_check_downloads=False)) == []


@pytest.mark.parametrize("path", ["", "/", "//", "/data", "/data/", "/var//", "/var/.", "/var/lib/../..", "data/hub"])
def test_no_path_is_deleted_that_may_be_others(read_check, site, path):
    problem = jupyterhub.data_folder_problem(read_check("jupyterhub", **site, jupyterhub_db_path=path))
    assert problem.startswith("jupyterhub_db_path must be the absolute path of a directory inside another one, without")
    assert json.dumps(path) in problem or not path


@pytest.mark.parametrize("path", ["/srv/hub", "/srv/hub/", "/mnt/a.b/..hub", "/var/lib/egi-notebooks/hub"])
def test_a_directory_of_its_own_may_be_deleted(read_check, site, path):
    assert jupyterhub.data_folder_problem(read_check("jupyterhub", **site, jupyterhub_db_path=path)) == ""
