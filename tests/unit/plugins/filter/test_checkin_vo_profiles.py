# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that says what each VO's people may use."""

from __future__ import annotations

import pathlib

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.egi.notebooks.plugins.filter import checkin_vo_profiles as plugin
from ansible_collections.egi.notebooks.plugins.filter.checkin_vo_profiles import checkin_vo_profiles
from ansible_collections.egi.notebooks.plugins.module_utils import vos

IMAGE = "quay.io/jupyter/tensorflow-notebook:2026-06-01"


def profiles(**keys) -> list[dict]:
    (vo,) = checkin_vo_profiles([{"name": "vo.a", **keys}])
    return vo["profiles"]


def test_a_plain_vo_has_no_profile():
    assert checkin_vo_profiles(["vo.a"]) == checkin_vo_profiles([{"name": "vo.a"}])
    assert profiles(groups=["g"], roles=["r"], admin=["a"], assurance=["x"]) == []


def test_profiles_have_images_and_limits_of_their_own_or_of_the_vo():
    small, large, own = profiles(
        images={"Tensors": IMAGE},
        limits={"cpu": 2, "memory": "4G"},
        profiles=[
            {"name": "Small"},
            {"name": "Large (GPU)", "description": "A lot.", "image": "Tensors", "limits": {"cpu": 8, "gpu": 1}},
            {"name": "Own", "image": "r.example.org:5000/x:1"},
        ],
    )
    assert small == {
        "slug": "vo-a-small",
        "display_name": "Small",
        "description": "Small",
        "kubespawner_override": {"cpu_limit": 2.0, "mem_limit": "4G"},
    }
    assert large["slug"] == "vo-a-large-gpu"
    assert large["kubespawner_override"] == {
        "image": IMAGE,
        "cpu_limit": 8.0,
        "mem_limit": "4G",
        "extra_resource_limits": {"nvidia.com/gpu": "1"},
    }
    assert own["kubespawner_override"]["image"] == "r.example.org:5000/x:1"


def test_images_alone_are_profiles():
    assert [(each["display_name"], each["kubespawner_override"]) for each in profiles(images={"T": IMAGE})] == [
        ("T", {"image": IMAGE})
    ]


def test_limits_or_storage_alone_are_one_profile_called_like_the_vo():
    (only,) = profiles(storage=[{"claim": "data", "path": "/data", "read_only": True}])
    assert (only["slug"], only["display_name"], only["kubespawner_override"]) == ("vo-a", "vo.a", {})
    assert only["storage"] == [{"claim": "data", "path": "/data", "sub_path": "", "read_only": True}]
    assert profiles(limits={"cpu": 1})[0]["kubespawner_override"] == {"cpu_limit": 1.0}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"profile": []}, "vos[0]: each key must be one of name, namespace, groups, roles"),
        ({"profile": []}, 'got "profile". Did you mean profiles?'),
        ({"admin": "boss"}, 'vos[0].admin must be a list of texts; got "boss".'),
        (
            {"admin": ["member"]},
            "vos[0].admin must be a role that not every member of vo.a has, or stand beside groups",
        ),
        ({"assurance": [3]}, "vos[0].assurance must be a list of texts; got [3]."),
        ({"images": ["x:1"]}, 'vos[0].images must be a mapping of names to images; got ["x:1"].'),
        ({"images": {"T": "x"}}, "vos[0].images['T'] must be an image with its tag; got \"x\"."),
        ({"profiles": {"name": "x"}}, "vos[0].profiles must be a list of mappings of name, description, image, limits"),
        ({"profiles": ["x"]}, 'vos[0].profiles[0] must be a mapping of name, description, image, limits; got "x".'),
        ({"profiles": [{"name": "y", "nam": "x"}]}, "vos[0].profiles[0]: each key must be one of name, description,"),
        ({"profiles": [{"name": "a\nb"}]}, "vos[0].profiles[0].name must be a text of one line without any of <>&{}"),
        ({"profiles": [{"name": "{{ x }}"}]}, "vos[0].profiles[0].name must be a text of one line without any of"),
        ({"profiles": [{"name": "<b>"}]}, 'got "<b>".'),
        ({"profiles": [{"name": "x", "image": ["x"]}]}, "vos[0].profiles[0].image must be an image with its tag"),
        (
            {"profiles": [{"name": "x"}, {"name": "X"}]},
            'vos: names of profiles must be different in letters from a to z or digits; got ["vo.a: x", "vo.a: X"].',
        ),
        (
            {"images": {"T": IMAGE}, "profiles": [{"name": "x", "image": "S"}]},
            'vos[0].profiles[0].image must be one of T, or an image with its tag; got "S".',
        ),
        ({"limits": [1]}, "vos[0].limits must be a mapping of cpu, memory, gpu; got [1]."),
        ({"limits": {"ram": 1}}, 'vos[0].limits: each key must be one of cpu, memory, gpu; got "ram".'),
        ({"limits": {"cpu": 0}}, "vos[0].limits.cpu must be a number above 0, such as 1.5; got 0."),
        ({"limits": {"cpu": True}}, "vos[0].limits.cpu must be a number above 0, such as 1.5; got true."),
        (
            {"limits": {"memory": "4Gi"}},
            'vos[0].limits.memory must be a number with K, M, G or T, such as 2G; got "4Gi"',
        ),
        ({"limits": {"gpu": 1.5}}, "vos[0].limits.gpu must be a number of GPUs; got 1.5."),
        (
            {"storage": "data"},
            'vos[0].storage must be a list of mappings of claim, path, sub_path, read_only; got "data"',
        ),
        ({"storage": [{"claim": "A", "path": "/a"}]}, "vos[0].storage[0].claim must be the name of a PersistentVolume"),
        ({"storage": [{"claim": "a", "path": "a"}]}, "vos[0].storage[0].path must be an absolute path where nothing"),
        ({"storage": [{"claim": "a", "path": "/a"}] * 2}, "vos[0].storage[1].path must be an absolute path where"),
        ({"storage": [{"claim": "a", "path": "/a", "sub_path": "../x"}]}, "vos[0].storage[0].sub_path must be a path"),
        ({"storage": [{"claim": "a", "path": "/a", "read_only": 1}]}, "vos[0].storage[0].read_only must be true or"),
    ],
)
def test_bad_rules_are_refused_with_one_line(keys, message):
    with pytest.raises(AnsibleFilterError) as refused:
        profiles(**keys)
    assert str(refused.value).startswith("checkin_vo_profiles: ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_every_key_is_documented():
    path = pathlib.Path(plugin.__file__).with_suffix(".yml")
    documented = yaml.safe_load(path.read_text())["DOCUMENTATION"]["options"]["_input"]["suboptions"]
    assert tuple(documented) == vos.KEYS
    assert tuple(documented["profiles"]["suboptions"]) == vos.PROFILE_KEYS
    assert tuple(documented["limits"]["suboptions"]) == vos.LIMIT_KEYS
    assert tuple(documented["storage"]["suboptions"]) == vos.STORAGE_KEYS
