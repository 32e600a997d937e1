# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWX: surveys made of argument specifications, and the credential types' way into the roles' variables."""

from __future__ import annotations

import re

import pytest
from ansible.parsing.dataloader import DataLoader

from ansible_collections.egi.notebooks.plugins.filter.awx_survey import awx_survey
from ansible_collections.egi.notebooks.plugins.plugin_utils import awx

OPTIONS = {
    "egi_notebooks_mirror": [
        {"type": "str", "default": "", "description": ["Prefix of V(https://x) in O(a_b=c).", "With P(a.b.c#filter)."]},
        {"type": "str", "default": "", "description": "Another role's text."},
    ],
    "egi_notebooks_port": [{"type": "int", "default": 9100, "description": "Port. By default egi_notebooks_port."}],
    "egi_notebooks_skew": [{"type": "float", "default": 5, "description": "Seconds"}],
    "egi_notebooks_mode": [{"choices": ["a", "b"], "default": "a", "description": "Mode."}],
    "egi_notebooks_name": [
        {"default": "", "description": "Name of the site."},
        {"default": "kubernetes", "description": "Name of the cluster."},
    ],
    "egi_notebooks_version": [{"default": "{{ lookup('x') }}", "description": "Version."}],
    "egi_notebooks_vos": [{"type": "list", "description": "VOs."}],
    "egi_notebooks_secure": [{"type": "bool", "default": True, "description": "Whether."}],
}


def test_a_question_has_the_text_type_and_value_of_the_variable():
    (asked,) = awx.survey(["egi_notebooks_mirror"], OPTIONS, {"egi_notebooks_mirror": "https://mirror.example.org"})
    assert asked == {
        "variable": "egi_notebooks_mirror",
        "question_name": "Prefix of https://x in a_b",
        "question_description": "With a.b.c. egi_notebooks_mirror",
        "type": "text",
        "required": False,
        "default": "https://mirror.example.org",
    }


@pytest.mark.parametrize(
    ("name", "site", "wanted"),
    [
        ("egi_notebooks_port", {}, ("integer", 9100)),
        ("egi_notebooks_port", {"egi_notebooks_port": "9200"}, ("integer", 9200)),
        ("egi_notebooks_skew", {}, ("float", 5.0)),
        ("egi_notebooks_mode", {}, ("multiplechoice", "a")),
        ("egi_notebooks_name", {"egi_notebooks_name": "SITE"}, ("text", "SITE")),
    ],
)
def test_types_and_values(name, site, wanted):
    (asked,) = awx.survey([name], OPTIONS, site)
    assert (asked["type"], asked["default"]) == wanted
    assert type(asked["default"]) is type(wanted[1])
    assert asked.get("choices") == (["a", "b"] if wanted[0] == "multiplechoice" else None)


def test_how_a_role_gets_the_value_is_no_part_of_the_question():
    (asked,) = awx.survey(["egi_notebooks_port"], OPTIONS, {})
    assert (asked["question_name"], asked["question_description"]) == ("Port", "egi_notebooks_port")


@pytest.mark.parametrize("name", ["egi_notebooks_mirror", "egi_notebooks_name", "egi_notebooks_version"])
def test_what_has_no_value_is_not_asked(name):
    """An empty answer of AWX's form would take the place of the inventory's value."""
    assert awx.survey([name], OPTIONS, {}) == []
    assert awx.survey([name], OPTIONS, {name: ""}) == []


def test_what_no_survey_can_ask_for_is_refused_all_at_once():
    with pytest.raises(ValueError, match='got "other"') as error:
        awx.survey(["egi_notebooks_vos", "egi_notebooks_secure", "other"], OPTIONS, {})
    assert "egi_notebooks_vos must stay in the inventory: its type is list" in str(error.value)
    assert "egi_notebooks_secure must stay in the inventory: its type is bool" in str(error.value)


def test_the_filter_reads_the_roles_of_the_collection():
    (asked,) = awx_survey(["egi_notebooks_domain"], {"egi_notebooks_domain": "n.example.org"})
    assert asked["default"] == "n.example.org"
    assert asked["question_name"].startswith("Public host name")
    assert not re.search(r"\b[A-Z]\(", asked["question_name"] + asked["question_description"])


@pytest.fixture(scope="module")
def declared(root):
    """The variables of awx_setup.yml, not templated."""
    return DataLoader().load_from_file(str(root / "playbooks/vars/awx.yml"))


@pytest.fixture(scope="module")
def known(root):
    """All variables of roles, and the shared ones that their defaults come from."""
    loader, found = DataLoader(), set()
    for path in root.glob("roles/*/meta/argument_specs.yml"):
        found |= set(loader.load_from_file(str(path))["argument_specs"]["main"]["options"])
    texts = [path.read_text() for path in (*root.glob("roles/*/defaults/main.yml"), *root.glob("playbooks/**/*.yml"))]
    return found | set(re.findall(r"\begi_notebooks_\w+", "\n".join(text for text in texts if "awx" not in text)))


def test_injected_variables_are_those_that_roles_take(declared, known, root):
    example = (root / "inventories/awx/group_vars/all.yml").read_text()
    for kind, item in declared["awx_credential_types"].items():
        for name in item["injectors"]["extra_vars"]:
            assert name in known or (kind == "known_hosts" and name in example), name


def test_no_two_credentials_set_the_same_variable(declared):
    names = [name for item in declared["awx_credential_types"].values() for name in item["injectors"]["extra_vars"]]
    assert len(names) == len(set(names))


def test_injectors_use_the_fields_of_their_type(declared):
    for item in declared["awx_credential_types"].values():
        used = set(re.findall(r"\{\{ (\w+) ", " ".join(item["injectors"]["file"].values())))
        assert used == {field["id"] for field in item["fields"]}


def test_the_survey_asks_for_nothing_that_a_credential_sets(declared):
    injected = {name for item in declared["awx_credential_types"].values() for name in item["injectors"]["extra_vars"]}
    assert not injected & set(re.findall(r"egi_notebooks_\w+", declared["awx_survey"]))


def test_job_templates_are_playbooks_and_their_credentials_are_declared(declared, root):
    for template in declared["awx_templates"]:
        assert (root / f"playbooks/{template['name']}.yml").is_file()
        assert set(template["credentials"]) <= {"machine", *declared["awx_credential_types"]}


def test_destroy_gets_both_words_from_people_alone(declared):
    (destroy,) = [item for item in declared["awx_templates"] if item["name"] == "destroy"]
    assert [item["variable"] for item in destroy["survey"]] == [
        "egi_notebooks_destroy_confirm",
        "egi_notebooks_destroy_data",
    ]
    assert all(item["required"] for item in destroy["survey"])
    assert "default" not in destroy["survey"][0]
