# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What artifact_install has installed on a host."""

from __future__ import annotations

import json
import subprocess

from ansible_collections.egi.notebooks.plugins.module_utils.host.artifacts import artifacts, kubelet_version


def test_artifacts_that_are_installed(host):
    folder = "var/lib/egi-notebooks/artifacts"
    host({f"{folder}/runc.json": "{}", f"{folder}/containerd.json": "{}", f"{folder}/kubelet.json.new": "{}"})
    assert artifacts(None)["artifacts"] == ["containerd", "runc"]


def test_a_kubelet_that_was_replaced_is_queried(host, tmp_path):
    def version() -> str:
        def run_command(command, handle_exceptions):
            assert not handle_exceptions
            answer = subprocess.run(command, capture_output=True, text=True, check=False)
            return answer.returncode, answer.stdout, answer.stderr

        return kubelet_version(run_command)

    path, record = "usr/local/bin/kubelet", "var/lib/egi-notebooks/artifacts/kubelet.json"
    for broken in ('{"version": "1.3', "{}", "[]", '{"version": "1.36.3", "path": "/usr/local/bin/kubelet"}'):
        host({record: broken})
        assert version() == ""
    host({path: "#!/bin/sh\necho Kubernetes v1.37.1\n"})
    (kubelet,) = tmp_path.rglob("kubelet")
    kubelet.chmod(0o755)
    status = kubelet.stat()
    files = {f"/{path}": [status.st_size, status.st_mtime_ns]}
    installed = {"version": "1.36.3", "path": f"/{path}", "files": files}
    host({record: json.dumps(installed)})
    assert version() == "1.36.3"
    host({record: json.dumps(installed | {"files": {f"/{path}": [1, 2]}})})
    assert version() == "1.37.1"
    kubelet.write_text("#!/bin/sh\nexit 1\n")
    assert version() == ""
