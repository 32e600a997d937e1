# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users' servers are made of, with the real spawner."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from kubernetes_asyncio.client.rest import ApiException
from kubespawner import KubeSpawner
from traitlets.config import Config

VO = "vo.notebooks.egi.eu"
URN = "urn:mace:egi.eu:group:{}#aai.egi.eu"
NAME = "egiw4ndreq74crpqgzjlvxozperlf"
RICH = [
    {
        "name": "vo.rich",
        "images": {"Tensors": "tensors:1"},
        "limits": {"cpu": 0.5, "memory": "256M"},
        "profiles": [
            {"name": "Small"},
            {"name": "Large", "image": "Tensors", "limits": {"memory": "8G", "gpu": 1}},
        ],
        "storage": [
            {"claim": "data", "path": "/data", "read_only": True},
            {"claim": "data", "path": "/scratch", "sub_path": "tmp"},
        ],
    },
    {"name": "vo.one", "limits": {"memory": "1G"}},
    VO,
]


class Api:
    """A cluster's Secrets."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict] = {}

    async def patch_namespaced_secret(self, name, namespace, body):
        assert namespace == "jupyterhub"
        if name not in self.secrets:
            raise ApiException(status=404)
        self.secrets[name] |= body["stringData"]
        return body

    async def create_namespaced_secret(self, namespace, body):
        assert namespace == "jupyterhub"
        self.secrets[body.metadata.name] = body.string_data

    async def delete_namespaced_secret(self, name, namespace):
        if self.secrets.pop(name, None) is None:
            raise ApiException(status=404)


def spawner(config, *urns, volumes=dict, auth_state=True, **options):
    # What the chart adds to the hooks: namespace and home.
    settings = Config(config)
    home = {"name": "home", "persistentVolumeClaim": {"claimName": "homes"}}
    mount = {"name": "home", "mountPath": "/home/jovyan", "subPath": "{escaped_username}"}
    settings.KubeSpawner.update(
        namespace="jupyterhub",
        image="image:1",
        slug_scheme="safe",
        mem_limit="2G",
        mem_guarantee="512M",
        cpu_guarantee=1,
        volumes={"home": home} if volumes is dict else [home],
        volume_mounts={"home": mount} if volumes is dict else [mount],
    )
    state = {"oauth_user": {"entitlements": [URN.format(urn) for urn in urns]}, "access_token": "token-1"}
    user = SimpleNamespace(
        name=NAME,
        id=1,
        url="/user/x",
        escaped_name=NAME,
        get_auth_state=lambda: asyncio.sleep(0, state if auth_state else None),
    )
    made = KubeSpawner(config=settings, _mock=True, user=user)
    made.get_env = dict
    made.user_options = options
    made.api = Api()
    user.spawners = {"": made}
    return made


def ask(question, config, *urns, **options):
    """Return what a coroutine function says about a user's spawner."""

    async def answer():
        return await question(spawner(config, *urns, **options))

    return asyncio.run(answer())


async def started_pod(made):
    await made.pre_spawn_hook(made)
    await made.load_user_options()
    return await made.modify_pod_hook(made, await made.get_pod_manifest())


def pod(config, *urns, **options):
    """Return a user's pod as the spawner starts it."""
    return ask(started_pod, config, *urns, **options)


def offered(config, *urns):
    profiles = ask(lambda made: made.profile_list(made), config, *urns)
    return [(each["slug"], each["display_name"]) for each in profiles]


def form(config, *urns):
    return ask(lambda made: made.get_options_form(), config, *urns)


@pytest.mark.parametrize(
    ("urns", "vo"),
    [
        ([f"{VO}:role=member"], VO),
        ([VO, "vo.first:staff"], "vo.first"),
        (["vo.first:staff:role=member", VO], "vo.first"),
        (["vo.first", VO], VO),
        (["ops:role=admin"], "ops"),
        (["aaa", VO], VO),
    ],
)
def test_the_pod_is_charged_to_the_first_configured_vo_that_admits_its_user(config, urns, vo):
    annotations = pod(config, *urns).metadata.annotations
    assert annotations["egi.eu/primary_group"] == vo
    assert annotations["hub.jupyter.org/username"] == NAME
    assert "egi.eu/flavor" not in annotations


@pytest.mark.parametrize("options", [{}, {"auth_state": False}])
def test_a_pod_of_nobody_s_is_charged_to_nobody(config, options):
    assert "egi.eu/primary_group" not in pod(config, "aaa", **options).metadata.annotations


def test_the_home_depends_on_the_user_s_name_alone(config):
    mounts = pod(config, VO).spec.containers[0].volume_mounts
    assert [mount.sub_path for mount in mounts] == [NAME]


def test_without_profiles_nobody_is_asked(config):
    assert form(config, VO, "vo.first:staff") == ""


def test_users_see_the_profiles_of_their_vos_alone(configured):
    config = configured(vos=RICH)
    rich = [("vo-rich-small", "Small"), ("vo-rich-large", "Large")]
    assert offered(config, "vo.rich") == rich
    assert offered(config, "vo.one") == [("vo-one", "vo.one")]
    assert offered(config, VO) == []
    assert offered(config, "other") == []
    assert offered(config, VO, "vo.rich") == [
        ("vo-rich-small", "Small (vo.rich)"),
        ("vo-rich-large", "Large (vo.rich)"),
        (f"vo:{VO}", VO),
    ]


def test_with_one_profile_nobody_is_asked_and_it_is_applied(configured):
    config = configured(vos=RICH)
    assert form(config, "vo.one") == ""
    made = pod(config, "vo.one")
    assert made.metadata.annotations["egi.eu/flavor"] == "vo-one"
    assert made.spec.containers[0].resources.limits["memory"] == 1024**3


def test_with_two_profiles_the_form_has_both(configured):
    page = form(configured(vos=RICH), "vo.rich", "vo.one")
    for text in ("vo-rich-small", "vo-rich-large", "Large (vo.rich)", "vo.one"):
        assert text in page


@pytest.mark.parametrize("volumes", [dict, list])
def test_limits_and_volumes_follow_the_profile_picked(configured, volumes):
    made = pod(configured(vos=RICH), "vo.one", "vo.rich", profile="vo-rich-large", volumes=volumes)
    (container,) = made.spec.containers
    assert container.image == "tensors:1"
    assert container.resources.limits == {"cpu": 0.5, "memory": 8 * 1024**3, "nvidia.com/gpu": "1"}
    assert container.resources.requests == {"cpu": 0.5, "memory": 512 * 1024**2}
    assert made.metadata.annotations["egi.eu/primary_group"] == "vo.rich"
    assert made.metadata.annotations["egi.eu/flavor"] == "vo-rich-large"
    assert [volume.name for volume in made.spec.volumes] == ["home", "vo-0"]
    assert "'data'" in str(made.spec.volumes[1].persistent_volume_claim)
    mounts = [(mount.mount_path, mount.name, mount.sub_path, mount.read_only) for mount in container.volume_mounts]
    assert mounts == [
        ("/home/jovyan", "home", NAME, None),
        ("/data", "vo-0", None, True),
        ("/scratch", "vo-0", "tmp", False),
    ]


def test_a_guarantee_is_never_above_the_limit(configured):
    (container,) = pod(configured(vos=RICH), "vo.rich").spec.containers
    assert container.resources.requests == {"cpu": 0.5, "memory": 256 * 1024**2}


def test_a_profile_of_somebody_else_s_vo_is_not_started(configured):
    made = pod(configured(vos=RICH), "vo.one", profile="vo-rich-large")
    assert made.metadata.annotations["egi.eu/primary_group"] == "vo.one"
    assert made.spec.containers[0].image == "image:1"


def test_a_profile_that_is_gone_is_forgotten(config):
    assert pod(config, VO, profile="gone").metadata.annotations["egi.eu/primary_group"] == VO


def test_a_site_may_have_profiles_of_its_own(config):
    config.KubeSpawner.profile_list = [
        {"display_name": name, "slug": name, "kubespawner_override": {"image": f"{name}:1"}} for name in ("one", "two")
    ]
    assert pod(config, VO, profile="two").spec.containers[0].image == "two:1"


def test_one_s_server_does_not_change_the_next_one_s(configured):
    config = configured(vos=RICH)
    pod(config, "vo.rich")
    assert len(pod(config, "vo.one").spec.volumes) == 1


@pytest.mark.parametrize("vos", [RICH, [VO]])
def test_the_access_token_is_a_file_and_in_no_environment(configured, vos):
    config = configured(vos=vos, offline_access=True, access_token_file=True)
    made = pod(config, VO)
    (container,) = made.spec.containers
    assert container.volume_mounts[-1].mount_path == "/var/run/secrets/egi.eu"
    # A single file of a Secret, by subPath, would never change.
    assert container.volume_mounts[-1].sub_path is None
    assert made.spec.volumes[-1].secret.secret_name == f"jupyter-{NAME}-checkin"
    assert "token-1" not in str(made)


def test_the_stored_access_token_follows_and_goes_with_the_server(hub, configured):
    name = f"jupyter-{NAME}-checkin"

    async def live(made) -> None:
        await made.pre_spawn_hook(made)
        assert made.api.secrets == {name: {"access_token": "token-1"}}
        await hub.servers.store_access_token(made, "token-2")
        assert made.api.secrets == {name: {"access_token": "token-2"}}
        await made.post_stop_hook(made)
        await made.post_stop_hook(made)
        assert made.api.secrets == {}

    ask(live, configured(offline_access=True, access_token_file=True), VO)


def test_without_the_option_no_secret_is_touched(config):
    async def live(made) -> None:
        made.api = None
        await made.pre_spawn_hook(made)
        await made.post_stop_hook(made)

    ask(live, config, VO)
