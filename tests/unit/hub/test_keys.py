# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encryption keys of the stored state: rotation, and what happens without the right one."""

from __future__ import annotations

import asyncio

import pytest
from cryptography.fernet import InvalidToken
from hub_world import VO, error, person
from jupyterhub import crypto
from jupyterhub.crypto import CryptKeeper

OLD, NEW, OTHER = "aa" * 32, "bb" * 32, "cc" * 32


@pytest.fixture
def keeper(monkeypatch):
    """A function that returns the hub's CryptKeeper, with keys as the chart hands them over."""

    def keep(*keys: str) -> CryptKeeper:
        monkeypatch.setenv(crypto.KEY_ENV, ";".join(keys))
        return CryptKeeper()

    return keep


def test_old_keys_read_and_the_first_one_writes(keeper):
    async def play() -> None:
        before = await keeper(OLD).encrypt({"x": 1})
        both = keeper(NEW, OLD)
        assert await both.decrypt(before) == {"x": 1}
        after = await both.encrypt({"x": 2})
        assert await keeper(NEW).decrypt(after) == {"x": 2}
        for keys, data in (((NEW,), before), ((OLD,), after)):
            with pytest.raises(InvalidToken):
                await keeper(*keys).decrypt(data)

    asyncio.run(play())


def use(*keys: str) -> None:
    CryptKeeper.instance().keys = list(keys)


def test_a_state_that_is_read_is_written_with_the_new_key(play):
    @play(user_names="preferred_username")
    async def scenario(hub):
        use(OLD)
        hub.checkin.people |= {"m": person(VO), "n": person(VO, voperson_id="n@egi.eu")}
        assert (await hub.browser().log_in("m")).code == 302
        use(NEW, OLD)
        assert (await hub.browser().log_in("n")).code == 403
        use(NEW)
        (user,) = hub.app.users.values()
        assert (await user.get_auth_state())["oauth_user"]["name"] == "Marta Member"


def test_a_plain_name_is_not_free_because_its_state_cannot_be_decrypted(play):
    @play(user_names="preferred_username")
    async def scenario(hub):
        use(OLD)
        hub.checkin.people |= {"m": person(VO), "n": person(VO, voperson_id="n@egi.eu"), "o": person("other")}
        assert (await hub.browser().log_in("m")).code == 302
        (user,) = hub.app.users.values()
        stored = user.encrypted_auth_state
        use(OTHER)
        for login in "mno":
            page = await hub.browser().log_in(login)
            assert page.code == 503, login
            assert "encryption key is missing" in error(page)
        assert user.encrypted_auth_state == stored
        use(OTHER, OLD)
        assert (await hub.browser().log_in("n")).code == 403
        assert (await hub.browser().log_in("m")).code == 302


def test_nobody_meets_an_empty_home_because_the_state_of_the_former_name_cannot_be_decrypted(play):
    @play()
    async def scenario(hub):
        hub.checkin.people["m"] = person(VO)
        hub.authenticator.settings = hub.authenticator.settings | {"user_names": "preferred_username"}
        await hub.browser().log_in("m")
        hub.authenticator.settings = hub.authenticator.settings | {"user_names": "voperson_id"}
        use(OTHER)
        assert (await hub.browser().log_in("m")).code == 503


def test_with_short_names_another_key_means_one_login(play):
    @play()
    async def scenario(hub):
        hub.checkin.people["m"] = person(VO)
        browser = hub.browser()
        await browser.log_in("m")
        use(OTHER)
        (user,) = hub.app.users.values()
        user._auth_refreshed = None
        assert (await browser.get("/hub/home")).code == 302
        assert (await browser.log_in("m")).code == 302
        assert (await browser.get("/hub/home")).code == 200
