#!/usr/bin/env python3
# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what the two commands of the README take where nothing was built yet: ``make benchmark-cold``.

Ends a running lab, and builds all parts once more into a cache of its own (10 GB, an hour), which it takes
away again.
"""

from __future__ import annotations

import re
import sys
import tempfile

from benchmarks.run import LAB, OUTPUT, Figure, tell, timed
from lab.settings import CACHE


def main() -> int:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    timed(*LAB, "down", log="cold-lab-down")
    with tempfile.TemporaryDirectory(prefix="cold-", dir=CACHE.parent) as cache:
        try:
            up, printed = timed("make", "lab", log="cold-make-lab", EGI_NOTEBOOKS_CACHE=cache)
            test, _ = timed("make", "test", log="cold-make-test", EGI_NOTEBOOKS_CACHE=cache)
        finally:
            timed("make", "lab-down", log="cold-down", EGI_NOTEBOOKS_CACHE=cache)
    timed("make", "venv", log="cold-venv")
    parts = float(re.search(r"\(100 %, (\d+) s so far\)", printed)[1])
    figures = (
        Figure("make lab, cold cache", up / 60, 45, "min", f"parts {parts / 60:.1f} min of it"),
        Figure("make test on the warm lab", test / 60, 25, "min"),
        Figure("make test, cold cache: parts and tests", (parts + test) / 60, 80, "min"),
    )
    return tell("benchmark-cold", figures)


if __name__ == "__main__":
    sys.exit(main())
