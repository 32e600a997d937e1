# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hub refuses to start with settings that would undo the rules of the VOs, from whatever file or variable."""

from __future__ import annotations

from typing import Any

from egi_notebooks_traits import PROTECTED, is_protected


def check(values: dict[str, Any], where: str) -> None:
    """Refuse to start with a value that would undo the rules."""
    wrong = [
        f"{where}.{trait} must be {'at least ' * (trait == 'auth_refresh_age')}{PROTECTED[trait]}; got {value!r}."
        for trait, value in values.items()
        if trait in PROTECTED and not is_protected(trait, value)
    ]
    if wrong:
        raise ValueError(
            f"{' '.join(wrong)} Remove it from the values of the chart: it would undo the rules of the VOs."
        )


def check_config(c: Any, classes: list[str]) -> None:
    """Refuse to start if a section of one of the authenticator's classes has such a value."""
    for name in classes:
        if name in c:
            check(dict(c[name]), name)


def check_authenticator(authenticator: Any) -> None:
    """Refuse to start if the authenticator has such a value in the end."""
    check({trait: getattr(authenticator, trait) for trait in PROTECTED}, type(authenticator).__name__)
