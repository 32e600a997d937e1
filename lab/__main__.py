# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's command line: ``python -m lab COMMAND``; the Makefile's targets call it."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys

from lab.settings import NODES, STATE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description="The EGI Notebooks service on one machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    names = [node.name for node in NODES]
    build = commands.add_parser("build", help="build the lab's parts from the package registries")
    build.add_argument("part", nargs="*", help="only these, and what they need")
    part = commands.add_parser("part", help="build one part if need be and print its folder")
    part.add_argument("part")
    commands.add_parser("up", help="the whole service")
    bare = commands.add_parser("nodes", help="mirror, DNS, Keycloak and booted nodes, no service on them")
    bare.add_argument("--fresh", action="store_true", help="throw the nodes' disks and Keycloak's database away first")
    commands.add_parser("down", help="stop everything; disks and caches stay")
    commands.add_parser("clean", help="stop everything and forget disks, keys and secrets; built parts stay")
    commands.add_parser("status", help="what runs")
    commands.add_parser("open", help="publish the service on the host's loopback for a browser")
    for name, text in (("logs", "follow a node's console"), ("ssh", "a shell or a command on a node")):
        command = commands.add_parser(name, help=text)
        command.add_argument("node", choices=names)
        command.add_argument("argv", nargs=argparse.REMAINDER)
    execute = commands.add_parser("exec", help="run a command inside the lab's network")
    execute.add_argument("argv", nargs=argparse.REMAINDER)
    return parser


def main() -> int:
    arguments = _parser().parse_args()
    if os.geteuid() != 0:
        raise SystemExit("the lab makes a network namespace and file systems: run it as root")
    from lab import build, lab, nodes

    argv = getattr(arguments, "argv", [])
    if argv[:1] == ["--"]:
        del argv[0]
    match arguments.command:
        case "build":
            build.build(arguments.part or None)
        case "part":
            with contextlib.redirect_stdout(sys.stderr):
                folder = build.build([arguments.part])[arguments.part]
            print(folder)
        case "up":
            lab.up()
        case "nodes":
            lab.start_nodes(fresh=arguments.fresh)
        case "down":
            lab.down()
        case "clean":
            lab.clean()
        case "status":
            lab.status()
        case "open":
            lab.open_edge()
        case "logs":
            return subprocess.run(["tail", "-n", "200", "-F", STATE / "logs" / f"{arguments.node}.log"]).returncode
        case "ssh":
            return lab.run(["ssh", *nodes.ssh_options(), f"root@{arguments.node}.lab.test", *argv])
        case "exec":
            return lab.run(argv)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
