# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a host that consists of files, as one call returns them."""

from __future__ import annotations

import json
import time

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.egi.notebooks.plugins.action.node_facts import clock_skew
from ansible_collections.egi.notebooks.plugins.module_utils.host import files
from ansible_collections.egi.notebooks.plugins.modules import node_facts

LINK = {
    "ifname": "eth0",
    "flags": ["UP"],
    "mtu": 1500,
    "address": "02:00:00:00:00:0b",
    "addr_info": [{"family": "inet", "local": "10.0.2.15", "prefixlen": 24}],
}
DOCUMENTED = yaml.safe_load(node_facts.RETURN)["ansible_facts"]["contains"]["egi_notebooks_node"]["contains"]
FACTS = set(DOCUMENTED)


@pytest.mark.parametrize("path", ["data", ""])
def test_a_relative_path_is_rejected(capsys, path):
    with patch_module_args({"paths": ["/", path]}), pytest.raises(SystemExit):
        node_facts.main()
    assert json.loads(capsys.readouterr().out)["msg"] == f"paths must be absolute paths; got {path!r}."


def test_one_call_returns_all_facts(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(files, "ROOT", str(tmp_path))
    answers = {"address": [LINK], "route": [{"dst": "default", "dev": "eth0"}]}
    monkeypatch.setattr(AnsibleModule, "get_bin_path", lambda *_, **__: "ip")
    monkeypatch.setattr(AnsibleModule, "run_command", lambda _, argv, **__: (0, json.dumps(answers[argv[2]]), ""))
    with (
        patch_module_args({"paths": [str(tmp_path)], "_ansible_check_mode": True}),
        pytest.raises(SystemExit),
    ):
        node_facts.main()
    result = json.loads(capsys.readouterr().out)
    node = result["ansible_facts"]["egi_notebooks_node"]
    assert result["changed"] is False
    assert node["default_ipv4"]["address"] == "10.0.2.15"
    assert set(node) == FACTS
    assert node["packages"] == []
    assert node["cluster_networks"] == {"pods": "", "services": ""}
    assert list(node["disks"]) == [str(tmp_path)]
    assert abs(node["clock"]["time"] - time.time()) < 5
    assert node["clock"]["synchronised"] in (True, False, None)


@pytest.mark.parametrize(
    ("node", "skew"), [(100.0, 0.0), (101.5, 0.0), (102.0, 0.0), (110.25, 8.25), (90.0, -10.0), (99.9, -0.1)]
)
def test_what_the_connection_takes_is_no_skew(node, skew):
    assert clock_skew(node, before=100.0, after=102.0) == skew
