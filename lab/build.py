# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the lab's parts from the package registries, each once: a part's folder in the cache is named by the hash
of all that goes into it (its recipe, its version, the files it reads, the keys of the parts it needs).

``parts.yml`` lists them; a recipe is a shell script in ``recipes/`` (see ``recipes/lib.sh`` for what it is given).
Two parts are built at a time, one a core; a part that runs alone gets both cores.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from lab.settings import CACHE, LAB, PROJECT

PARALLEL = 2


#: What no Debian package of parts.yml brings in the version that is needed.
TOOLS = {"go": "Go", "mvn": "Maven with a JDK", "npm": "Node"}


class BuildError(SystemExit):
    """A part could not be built; the message names it and its log."""


@dataclass(frozen=True)
class Part:
    name: str
    recipe: str
    version: str
    needs: tuple[str, ...]
    apt: tuple[str, ...]
    inputs: tuple[str, ...]
    env: dict[str, str] = field(hash=False)
    cost: int


def load_manifest() -> dict:
    """The collection's artifact manifest: names, versions and upstream URLs."""
    return yaml.safe_load((PROJECT / "meta/artifacts.yml").read_text())


def load_parts() -> dict[str, Part]:
    manifest = load_manifest()
    versions = {
        name: str(entry["version"]) for section in ("files", "images") for name, entry in manifest[section].items()
    }
    parts = {}
    for name, entry in yaml.safe_load((LAB / "parts.yml").read_text()).items():
        version = entry.get("version", "")
        if isinstance(version, dict):
            version = versions[version["artifact"]]
        parts[name] = Part(
            name=name,
            recipe=entry.get("recipe", f"{name}.sh"),
            version=str(version),
            needs=tuple(entry.get("needs", ())),
            apt=tuple(entry.get("apt", ())),
            inputs=tuple(entry.get("inputs", ())),
            env={key: str(value) for key, value in entry.get("env", {}).items()},
            cost=int(entry.get("cost", 10)),
        )
    return parts


def _hash_path(digest, path: Path) -> None:
    files = (
        sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts) if path.is_dir() else [path]
    )
    for file in files:
        digest.update(f"{file.relative_to(path.parent)}\0".encode())
        digest.update(file.read_bytes())


def key(part: Part, parts: dict[str, Part]) -> str:
    digest = hashlib.sha256()
    digest.update(repr((part.name, part.version, sorted(part.env.items()))).encode())
    for path in (LAB / "recipes/lib.sh", LAB / "recipes" / part.recipe, *(LAB / i for i in part.inputs)):
        _hash_path(digest, path)
    for need in part.needs:
        digest.update(key(parts[need], parts).encode())
    return digest.hexdigest()[:16]


def folder(part: Part, parts: dict[str, Part]) -> Path:
    return CACHE / "parts" / f"{part.name}-{key(part, parts)}"


def install_packages(wanted: Iterable[str]) -> None:
    """Install the Debian packages that this machine lacks."""
    missing = [
        package
        for package in sorted(set(wanted))
        if subprocess.run(
            ["dpkg-query", "-W", "-f", "${db:Status-Status}", package], capture_output=True, text=True, check=False
        ).stdout
        != "installed"
    ]
    if missing:
        print(f"==> installing packages: {' '.join(missing)}", flush=True)
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=True, env=env)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
            check=True,
            env=env,
            stdout=subprocess.DEVNULL,
        )


def _run(part: Part, parts: dict[str, Part], jobs: int) -> float:
    target = folder(part, parts)
    log = CACHE / "logs" / f"{part.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    (CACHE / "tmp").mkdir(exist_ok=True)
    started = time.monotonic()
    # Another `make` may be building the same part: then wait for it and take what it made.
    with (CACHE / "tmp" / f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _make(part, parts, jobs, target, log)
    return time.monotonic() - started


def _make(part: Part, parts: dict[str, Part], jobs: int, target: Path, log: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f"{part.name}-", dir=CACHE / "tmp", ignore_cleanup_errors=True) as scratch:
        out, work = Path(scratch, "out"), Path(scratch, "work")
        out.mkdir()
        work.mkdir()
        env = (
            os.environ
            | part.env
            | {
                "OUT": str(out),
                "RECIPES": str(LAB / "recipes"),
                "LAB": str(LAB),
                "CACHE": str(CACHE),
                "VERSION": part.version,
                "JOBS": str(jobs),
                **{f"DEP_{need.replace('-', '_')}": str(folder(parts[need], parts)) for need in part.needs},
            }
        )
        with log.open("wb") as stream:
            result = subprocess.run(
                ["bash", str(LAB / "recipes" / part.recipe)],
                cwd=work,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if result.returncode:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise BuildError(f"part {part.name} failed (exit {result.returncode}), log {log}:\n{tail}")
        out.rename(target)


def build(names: list[str] | None = None) -> dict[str, Path]:
    """Build what is missing of the named parts (all by default) and of what they need; return every part's folder."""
    parts = load_parts()
    if unknown := sorted(set(names or ()) - set(parts)):
        raise BuildError(f"unknown part {', '.join(unknown)}; known: {', '.join(sorted(parts))}")
    wanted: dict[str, Part] = {}

    def want(name: str) -> None:
        for need in parts[name].needs:
            want(need)
        wanted[name] = parts[name]

    for name in names or parts:
        want(name)
    folders = {name: folder(part, parts) for name, part in wanted.items()}
    todo = {name: part for name, part in wanted.items() if not folders[name].exists()}
    if not todo:
        return folders
    if lacking := [what for tool, what in TOOLS.items() if not shutil.which(tool)]:
        raise BuildError(f"to build the lab's parts this machine lacks {', '.join(lacking)} in its PATH")
    install_packages(package for part in todo.values() for package in part.apt)
    total, done, started = sum(part.cost for part in todo.values()), 0, time.monotonic()
    print(f"==> building {len(todo)} of {len(wanted)} parts: {', '.join(todo)}", flush=True)
    running: dict[Future, Part] = {}
    with ThreadPoolExecutor(PARALLEL) as pool:
        while todo or running:
            # What others wait for first, then the longest: the last part to end should be a short one.
            ready = sorted(
                (p for p in todo.values() if all(folders[n].exists() for n in p.needs)),
                key=lambda p: -p.cost - 1000 * sum(p.name in q.needs for q in todo.values()),
            )
            for part in ready[: PARALLEL - len(running)]:
                del todo[part.name]
                print(f"    {part.name} {part.version}: started", flush=True)
                running[pool.submit(_run, part, parts, 2 if part.cost > 100 else 1)] = part
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                part = running.pop(future)
                if future.exception() and running:
                    print(
                        f"    {part.name} {part.version}: failed, its log follows when what runs has ended", flush=True
                    )
                seconds = future.result()
                done += part.cost
                print(
                    f"    {part.name} {part.version}: built in {seconds:.0f} s "
                    f"({100 * done // total} %, {time.monotonic() - started:.0f} s so far)",
                    flush=True,
                )
    return folders
