#!/usr/bin/env python3
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what the project must reach, on this machine and in one run, and print it: ``make benchmark``.

Throws the lab's nodes away for the cluster by hand and for the cluster by Ansible, then all of the lab but its built
parts, so passwords and keys as well, for `make lab`, whose service is left running.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from lab.settings import NODES, PROJECT, SERVICE_URL

OUTPUT = PROJECT / "tests/output"
LAB = [sys.executable, "-m", "lab"]
IN_LAB = [*LAB, "exec", "--"]


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


def timed(*command: str, log: str, **env: str) -> tuple[float, str]:
    """Run a command with these variables, its output in tests/output/benchmark-LOG.log; return seconds and output."""
    print(f"==> {log}: {' '.join(command)}", flush=True)
    path = OUTPUT / f"benchmark-{log}.log"
    started = time.monotonic()
    with path.open("w") as stream:
        status = subprocess.run(
            command, cwd=PROJECT, env=os.environ | env, stdout=stream, stderr=subprocess.STDOUT, check=False
        ).returncode
    seconds = time.monotonic() - started
    if status:
        raise SystemExit(f"{' '.join(command)} failed ({status}); see {path}")
    print(f"    {seconds:.0f} s", flush=True)
    return seconds, path.read_text()


@dataclass(frozen=True)
class Up:
    """A run of `make lab`: what it took, what its site.yml took of that, and how many tasks changed something."""

    seconds: float
    site: float
    changed: int


def read_up(seconds: float, printed: str) -> Up:
    """What `lab up` has printed, which must tell a person how to get in."""
    logins = dict(re.findall(r"^ +[\w ]+: +(member|outsider), .*?(/\S+)$", printed, re.MULTILINE))
    passwords = [path for path in logins.values() if Path(path).is_file()]
    if f"EGI Notebooks: {SERVICE_URL} " not in printed or len(passwords) != 2:
        raise SystemExit(f"`lab up` doesn't print {SERVICE_URL} and two logins with the files of their passwords")
    return Up(
        seconds,
        site=float(re.search(r"site\.yml took ([0-9.]+) s$", printed, re.MULTILINE)[1]),
        changed=sum(int(number) for number in re.findall(r"\bchanged=(\d+)", printed)),
    )


def tell(name: str, figures: tuple[Figure, ...]) -> int:
    """Print the figures and keep them in tests/output/NAME.json; return the status to exit with."""
    print(*figures, sep="\n")
    (OUTPUT / f"{name}.json").write_text(
        json.dumps({figure.what: figure.measured for figure in figures}, indent=2) + "\n"
    )
    return 0 if all(figure.reached for figure in figures) else 1


def make_lab(log: str) -> Up:
    return read_up(*timed(*LAB, "up", log=log))


def look_at_lab() -> None:
    """What else a person types at a running lab."""
    _, status = timed(*LAB, "status", log="lab-status")
    if not re.search(r"^node/master\S* +Ready ", status, re.MULTILINE):
        raise SystemExit("`lab status` doesn't show a master that is ready")
    timed(*LAB, "ssh", "master", "--", "true", log="lab-ssh")


def boot_ids(log: str) -> set[str]:
    command = ("-m", "ansible.builtin.raw", "-a", "cat /proc/sys/kernel/random/boot_id")
    _, printed = timed(*IN_LAB, "ansible", "-i", "inventories/lab", "all", *command, log=log)
    return set(re.findall(r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", printed, re.MULTILINE))


def fresh_nodes(log: str) -> None:
    timed(*LAB, "nodes", "--fresh", log=log)


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
    timed(*LAB, "clean", log="lab-clean")
    first = make_lab("make-lab-first")
    look_at_lab()
    booted = boot_ids("boot-ids-first")
    second = make_lab("make-lab-second")
    still = boot_ids("boot-ids-second") & booted
    checks, _ = playbook("preflight", "preflight")
    timed(*IN_LAB, "pytest", "tests/lab/test_user.py", log="user")
    spawns = json.loads((OUTPUT / "timings.json").read_text())
    figures = (
        Figure("make lab, warm cache", first.seconds / 60, 12, "min", f"site.yml {first.site:.0f} s of it"),
        Figure("second make lab: nodes that didn't run on", len(NODES) - len(still), 0, ""),
        Figure("second site.yml: changed tasks", second.changed, 0, ""),
        Figure("first site.yml", first.site, 220, "s"),
        Figure("second site.yml", second.site, 45, "s"),
        Figure("preflight.yml of 4 hosts", checks, 8, "s"),
        Figure("cluster.yml / by hand", by_ansible / by_hand, 1.2, "ratio", f"{by_ansible:.0f} s / {by_hand:.0f} s"),
        Figure("first server, from the login's click to JupyterLab", spawns["first_spawn"], 30, "s"),
        Figure("second server, from the click to JupyterLab", spawns["second_spawn"], 20, "s"),
    )
    # The steps by hand tell how fast this machine is.
    print(steps)
    return tell("benchmark", figures)


if __name__ == "__main__":
    sys.exit(main())
