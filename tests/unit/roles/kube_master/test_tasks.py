# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kube_master reports in check mode on a new host."""

from __future__ import annotations

import json


def test_a_new_control_plane_is_reported_in_check_mode(ansible_playbook, tmp_path):
    tasks = [{"ansible.builtin.include_role": {"name": "egi.notebooks.kube_master"}}]
    (tmp_path / "play.json").write_text(json.dumps([{"hosts": "masters", "gather_facts": False, "tasks": tasks}]))
    site = {"kube_master_preflight": False, "kube_master_client": False, "egi_notebooks_node_address": "192.0.2.11"}
    played = ansible_playbook(
        tmp_path, tmp_path / "play.json", "--check", "--diff", groups={"masters": {"hosts": {"m": {}}}}, site=site
    )
    assert played.status == 0, played.output
    changed = [
        task["task"]["name"].split(" : ")[1]
        for play in played.report["plays"]
        for task in play["tasks"]
        if task["hosts"].get("m", {}).get("changed")
    ]
    assert changed == ["Write the configuration of kubeadm", "Report that the control plane would be created"]
    assert "would create a control plane (1.36.3) at 192.0.2.11:6443" in played.output
