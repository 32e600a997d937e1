#!/usr/bin/env python3
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what the project must reach, on this machine and in one run, and print it: ``make benchmark``.

Throws the lab's nodes away three times: for the cluster by hand, for the cluster by Ansible, for the whole service,
which is left running.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
OUTPUT = PROJECT / "tests/output"
IN_LAB = [sys.executable, "-m", "lab", "exec", "--"]


@dataclass(frozen=True)
class Figure:
    what: str
    measured: float
    limit: float
    unit: str
    detail: str = ""

    @property
    def reached(self) -> bool:
        return self.measured <= self.limit

    def __str__(self) -> str:
        mark = "ok  " if self.reached else "MISS"
        return f"{mark} {self.what:<52} {self.measured:>8.2f} (at most {self.limit:g}) {self.unit:<6} {self.detail}"


def timed(*command: str, log: str) -> tuple[float, str]:
    """Run a command, its output in tests/output/LOG; return seconds and output."""
    print(f"==> {log}: {' '.join(command)}", flush=True)
    path = OUTPUT / f"benchmark-{log}.log"
    started = time.monotonic()
    with path.open("w") as stream:
        status = subprocess.run(command, cwd=PROJECT, stdout=stream, stderr=subprocess.STDOUT, check=False).returncode
    seconds = time.monotonic() - started
    if status:
        raise SystemExit(f"{' '.join(command)} failed ({status}); see {path}")
    print(f"    {seconds:.0f} s", flush=True)
    return seconds, path.read_text()


def fresh_nodes(log: str) -> float:
    return timed(sys.executable, "-m", "lab", "nodes", "--fresh", log=log)[0]


def playbook(name: str, log: str) -> tuple[float, str]:
    return timed(*IN_LAB, "ansible-playbook", "-i", "inventories/lab", f"playbooks/{name}.yml", log=log)


def main() -> int:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    fresh_nodes("nodes-for-hands")
    _, steps = timed(*IN_LAB, "bash", "benchmarks/by_hand_cluster.sh", log="cluster-by-hand")
    # Its own sum: rendering the texts that a person has at hand doesn't count.
    by_hand = float(re.search(r"^by hand, all steps +([0-9.]+) s", steps, re.MULTILINE)[1])
    fresh_nodes("nodes-for-ansible")
    by_ansible, _ = playbook("cluster", "cluster-by-ansible")
    boot = fresh_nodes("nodes")
    first, _ = playbook("site", "site-first")
    second, printed = playbook("site", "site-second")
    changed = sum(int(number) for number in re.findall(r"\bchanged=(\d+)", printed))
    checks, _ = playbook("preflight", "preflight")
    timed(*IN_LAB, "pytest", "tests/lab/test_user.py", log="user")
    spawns = json.loads((OUTPUT / "timings.json").read_text())
    figures = (
        Figure("make lab, warm cache", (boot + first) / 60, 12, "min", f"nodes {boot:.0f} s + site.yml {first:.0f} s"),
        Figure("second site.yml: changed tasks", changed, 0, ""),
        Figure("second site.yml / first", second / first, 0.25, "ratio", f"{second:.0f} s / {first:.0f} s"),
        Figure("preflight.yml of 4 hosts", checks, 15, "s"),
        Figure("cluster.yml / by hand", by_ansible / by_hand, 1.5, "ratio", f"{by_ansible:.0f} s / {by_hand:.0f} s"),
        Figure("first server, from the login's click to JupyterLab", spawns["first_spawn"], 30, "s"),
        Figure("second server, from the click to JupyterLab", spawns["second_spawn"], 20, "s"),
    )
    # The steps by hand tell how fast this machine is.
    print(steps, *figures, sep="\n")
    (OUTPUT / "benchmark.json").write_text(
        json.dumps({figure.what: figure.measured for figure in figures}, indent=2) + "\n"
    )
    return 0 if all(figure.reached for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
