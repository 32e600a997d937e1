# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics of a host are deleted on request, and nothing by a wrong variable."""

from __future__ import annotations

PLAYBOOK = """
- name: Delete the metrics
  hosts: all
  gather_facts: false
  tasks:
    - name: Delete the metrics
      ansible.builtin.include_role:
        name: egi.notebooks.prometheus
        tasks_from: remove_data
"""


def test_a_directory_of_its_own_is_deleted_alone(ansible_playbook, tmp_path):
    playbook = tmp_path / "play.yml"
    playbook.write_text(PLAYBOOK)
    (tmp_path / "metrics/wal").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    hosts = {"good": {"prometheus_path": f"{tmp_path}/metrics/"}, "bad": {"prometheus_path": f"{tmp_path}/other/.."}}
    played = ansible_playbook(tmp_path, playbook, groups={"workers": {"hosts": hosts}})
    ((_task, message),) = played.failures
    assert message.startswith("prometheus_path must be the absolute path of a directory inside another one")
    assert not (tmp_path / "metrics").exists()
    assert (tmp_path / "other").exists()
