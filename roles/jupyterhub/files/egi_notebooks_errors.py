# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Error pages of the login: a sentence for the user, and what else the page offers."""

from __future__ import annotations

from typing import Any

from tornado import web

NO_ANSWER = (
    "EGI Check-in does not answer at the moment, so nobody can log in. Please try again in some minutes. Whoever is "
    "logged in already can go on working."
)
BAD_ANSWER = (
    "EGI Check-in gave an answer that this service cannot use, so you are not logged in. Please try again. If it "
    "happens again, please tell the operators of this service."
)


class PageError(web.HTTPError):
    """An error page. ``vos`` has a line and maybe a link for each VO, see egi_notebooks_rules.missing_for_all."""

    def __init__(self, status: int, message: str, *, login_again: bool = True, vos: list[dict[str, Any]] | None = None):
        super().__init__(status, message)
        self.login_again, self.vos = login_again, vos or []


class NotAdmitted(PageError):
    """A user may not log in. The advice stands below the VOs."""

    def __init__(self, message: str, vos: list[dict[str, Any]] | None = None, advice: str = "") -> None:
        super().__init__(403, message, vos=vos)
        self.advice = advice


class TokensRejected(PageError):
    """Check-in rejects the code or the tokens of a user, who must log in again."""

    def __init__(self) -> None:
        super().__init__(400, "EGI Check-in did not accept this login. Please log in once more.")


class Trouble(PageError):
    """Something went wrong that says nothing about the user: no answer, a bad one, a hub without the right keys."""

    def __init__(self, message: str = NO_ANSWER, status: int = 503) -> None:
        super().__init__(status, message)


class BadAnswer(Trouble):
    """Check-in's answer is not as the standards say."""

    def __init__(self) -> None:
        super().__init__(BAD_ANSWER, 502)


class ScopeRejected(Trouble):
    """Check-in does not grant one of the scopes."""
