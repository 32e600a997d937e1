# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The problems of many hosts as lines to read, each told once."""

from __future__ import annotations

from collections.abc import Mapping


def problem_lines(problems: Mapping[str, list[str]]) -> list[str]:
    """Return a line for each sentence, with the hosts that it is about in front; host "" stands for the whole run."""
    hosts: dict[str, list[str]] = {}
    for host, sentences in problems.items():
        for sentence in dict.fromkeys(" ".join(text.split()) for text in sentences):
            hosts.setdefault(sentence, []).append(host)
    return [f"{', '.join(names)}: {sentence}" if any(names) else sentence for sentence, names in hosts.items()]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict:
        """Return the filters by name."""
        return {"problem_lines": problem_lines}
