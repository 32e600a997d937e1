#!/usr/bin/env python3
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give the entitlement parser a million broken URNs, always the same ones; any exception but its own is a failure.

python benchmarks/fuzz_entitlement.py [COUNT] [SEED]
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins/module_utils"))

from entitlement import EntitlementError, group_names, parse_any  # noqa: E402 (the collection's own file)

BATCH = 10_000
REAL = (
    "urn:mace:egi.eu:group:vo.notebooks.egi.eu:role=member#aai.egi.eu",
    "urn:mace:egi.eu:group:vo.example.org:training:2026:role=vm_operator#aai.egi.eu",
    "urn:mace:egi.eu:group:my%20vo:%C5%BDofia#aai.egi.eu",
    "URN:MACE:EGI.EU:group:vo?+r?=q#x",
    "urn:mace:egi.eu:res:storage:data:act:read,write#aai.egi.eu",
    "urn:geant:example.org:group:vo",
)
PIECES = (
    ":", "::", "#", "?", "?+", "?=", "%", "%0a", "%ff", "%C3%A9", "%2", "role=", ":role=", ":group:", ":res:", ":act:",
    ",", "urn:", "\n", "\0", " ", "\t", "\u202e", "\u043e", "\ud800", "\u0130", "\U0001f600", "e\u0301", "=", "/",
    '"', "'", "\\",
)  # fmt: skip


def mutated(random_: random.Random) -> str:
    """A real URN after a few accidents."""
    text = random_.choice(REAL)
    for _ in range(random_.randint(1, 6)):
        start = random_.randint(0, len(text))
        match random_.randrange(5):
            case 0:
                text = text[:start] + random_.choice(PIECES) + text[start:]
            case 1:
                text = text[:start] + text[start + random_.randint(1, 8) :]
            case 2:
                text = text[:start] + chr(random_.randrange(0x110000)) + text[start + 1 :]
            case 3:
                text = text[:start] + random_.choice(REAL)[random_.randint(0, 60) :]
            case 4:
                text = text[:start] + text[start : start + 20] * random_.randint(2, 20)
    return text


def batches(count: int, seed: int) -> Iterator[list[str]]:
    random_ = random.Random(seed)  # noqa: S311 (the same inputs in each run)
    for start in range(0, count, BATCH):
        yield [mutated(random_) for _ in range(min(BATCH, count - start))]


def main(count: int = 1_000_000, seed: int = 1) -> None:
    accepted, seconds = 0, 0.0
    for batch in batches(count, seed):
        started = time.perf_counter()
        for text in batch:
            try:
                parse_any(text)
                accepted += 1
            except EntitlementError:
                pass
            except Exception as error:
                raise SystemExit(f"FAILED: {type(error).__name__} for {text!r}: {error}") from error
        seconds += time.perf_counter() - started
        names = group_names({"entitlements": batch})
        if any(not name.isascii() or not name.isprintable() for name in names):
            raise SystemExit("FAILED: a name is not plain ASCII")
    print(f"{count} inputs (seed {seed}), {accepted} of them entitlements, no other exception")
    print(f"{count / seconds:,.0f} inputs/s, {seconds / count * 1e6:.1f} us each")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
