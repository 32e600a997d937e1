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
        ({"profile": []}, "vos[0]: unknown key 'profile'; did you mean 'profiles'?"),
        ({"admin": "boss"}, "vos[0].admin is 'boss'; allowed is a list of texts"),
        ({"admin": ["member"]}, "vos[0].admin makes every member of vo.a an admin; allowed is another role, or groups"),
        ({"assurance": [3]}, "vos[0].assurance is [3]; allowed is a list of texts"),
        ({"images": ["x:1"]}, "vos[0].images is ['x:1']; allowed is a mapping of names to images"),
        ({"images": {"T": "x"}}, "vos[0].images['T'] is 'x'; allowed is an image with its tag"),
        ({"profiles": {"name": "x"}}, "vos[0].profiles is {'name': 'x'}; allowed is a list of mappings of name,"),
        ({"profiles": ["x"]}, "vos[0].profiles[0] is 'x'; allowed is a mapping of name, description, image, limits"),
        ({"profiles": [{"nam": "x"}]}, "vos[0].profiles[0]: unknown key 'nam'; did you mean 'name'?"),
        ({"profiles": [{"name": "a\nb"}]}, "vos[0].profiles[0].name is 'a\\nb'; allowed is a text of one line"),
        ({"profiles": [{"name": "{{ x }}"}]}, "vos[0].profiles[0].name is '{{ x }}'; allowed is a text of one line"),
        ({"profiles": [{"name": "<b>"}]}, "vos[0].profiles[0].name is '<b>'; allowed is a text of one line"),
        (
            {"profiles": [{"name": "x"}, {"name": "X"}]},
            "vos has the profiles 'vo.a: x' and 'vo.a: X'; allowed are names that differ in letters from a to z",
        ),
        (
            {"images": {"T": IMAGE}, "profiles": [{"name": "x", "image": "S"}]},
            "vos[0].profiles[0].image is 'S'; allowed is one of T, or an image with its tag",
        ),
        ({"limits": [1]}, "vos[0].limits is [1]; allowed is a mapping of cpu, memory, gpu"),
        ({"limits": {"ram": 1}}, "vos[0].limits: unknown key 'ram'; known are cpu, memory, gpu"),
        ({"limits": {"cpu": 0}}, "vos[0].limits.cpu is 0; allowed is a number above 0"),
        ({"limits": {"cpu": True}}, "vos[0].limits.cpu is True; allowed is a number above 0"),
        ({"limits": {"memory": "4Gi"}}, "vos[0].limits.memory is '4Gi'; allowed is a number with K, M, G or T"),
        ({"limits": {"gpu": 1.5}}, "vos[0].limits.gpu is 1.5; allowed is a number of GPUs"),
        ({"storage": "data"}, "vos[0].storage is 'data'; allowed is a list of mappings of claim, path"),
        ({"storage": [{"claim": "A", "path": "/a"}]}, "vos[0].storage[0].claim is 'A'; allowed is the name of"),
        ({"storage": [{"claim": "a", "path": "a"}]}, "vos[0].storage[0].path is 'a'; allowed is an absolute path"),
        (
            {"storage": [{"claim": "a", "path": "/a"}] * 2},
            "vos[0].storage[1].path is '/a'; allowed is an absolute path",
        ),
        ({"storage": [{"claim": "a", "path": "/a", "sub_path": "../x"}]}, "vos[0].storage[0].sub_path is '../x'"),
        ({"storage": [{"claim": "a", "path": "/a", "read_only": 1}]}, "vos[0].storage[0].read_only is 1; allowed"),
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
