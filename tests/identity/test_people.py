# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets in, as whom, and to what."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from checkin_client import TIMEOUT, Client, browser
from people import ASSURED, COURSE, DATA, TRAINING, VO, mapper, urn
from user import User

from lab.checkin import USERS, voperson_id

SCOPES = "openid voperson_id entitlements"
SHORT_NAME = re.compile(r"egi[a-z2-7]{26}")
STUDENT = urn(COURSE, "student")


def refused(page, *texts: str) -> None:
    assert page.status_code == 403, (page.url, page.status_code)
    for text in texts:
        assert text in page.text


def test_a_member_sees_their_own_name(lab):
    shown = USERS["member"]
    page = User(lab, "member").log_in().page("/hub/home").text
    assert f"{shown.given_name} {shown.family_name}" in page


def test_a_member_has_a_short_name_and_keeps_it(person):
    member = person(urn(VO))
    assert len(member.identifier) == len(voperson_id("member")) == 71
    member.log_in()
    assert SHORT_NAME.fullmatch(member.name)
    # The same person again, by another browser.
    name = member.name
    assert member.log_in().name == name


def test_one_matching_group_among_others_admits_in_any_order(person):
    """Case 1."""
    urns = [urn("a"), urn("b:c"), urn("d", "boss"), urn(VO), urn("e")]
    somebody = person(*urns)
    names = set()
    for entitlements in (urns, urns[::-1], [urn(VO)]):
        assert somebody.become(entitlements=entitlements)
        names.add(somebody.log_in().name)
    assert len(names) == 1


def test_a_role_in_a_subgroup_gets_the_profile_of_the_vo_at_once(lab, person):
    student = person(STUDENT)
    student.log_in()
    student.start()
    pod = student.pod()
    assert pod["metadata"]["annotations"]["egi.eu/primary_group"] == TRAINING
    assert pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == str(768 * 1024**2)
    assert lab.run("nfs", f"stat --format '%u:%g' /srv/homes/{student.name}") == "1000:100"


def test_a_member_of_the_vo_around_the_subgroup_is_refused(person):
    refused(person(urn(TRAINING, "student")).visit(), TRAINING, "group course")


def test_a_member_of_the_subgroup_without_the_role_is_refused(person):
    refused(person(urn(COURSE)).visit(), TRAINING, "role student")


def test_a_member_of_two_vos_chooses_whose_server_it_is(person):
    both = person(urn(VO), STUDENT).log_in()
    page = both.page("/hub/spawn").text
    assert "vo-training-lab-test" in page
    assert f"vo:{VO}" in page
    pod = both.start_profile("vo-training-lab-test")
    assert pod["metadata"]["annotations"]["egi.eu/primary_group"] == TRAINING
    both.stop()
    pod = both.start_profile(f"vo:{VO}")
    assert pod["metadata"]["annotations"]["egi.eu/primary_group"] == VO
    assert pod["spec"]["containers"][0]["resources"]["limits"]["memory"] != str(768 * 1024**2)


@pytest.fixture
def data(lab) -> Iterator[None]:
    """The claim that inventories/lab mounts for a VO, with a file in it."""
    volume = {"capacity": {"storage": "1Mi"}, "accessModes": ["ReadOnlyMany"], "storageClassName": ""}
    lab.run("worker", "mkdir -p /srv/vo-data && echo of the VO > /srv/vo-data/note")
    lab.kubectl_apply(
        [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": "vo-data"},
                "spec": volume | {"hostPath": {"path": "/srv/vo-data"}},
            },
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": "vo-data", "namespace": "jupyterhub"},
                "spec": {
                    "accessModes": volume["accessModes"],
                    "storageClassName": "",
                    "volumeName": "vo-data",
                    "resources": {"requests": volume["capacity"]},
                },
            },
        ]
    )
    yield
    lab.kubectl("delete", "pvc", "vo-data", "--namespace", "jupyterhub", "--wait=false")
    lab.kubectl("delete", "pv", "vo-data", "--wait=false")
    lab.run("worker", "rm -r /srv/vo-data")


@pytest.mark.usefixtures("data")
def test_profiles_and_storage_of_a_vo_are_for_its_members(person):
    member = person(urn(DATA)).log_in()
    form = member.page("/hub/spawn").text
    assert all(f"vo-data-lab-test-{size}" in form for size in ("small", "large"))
    pod = member.start_profile("vo-data-lab-test-large")
    assert pod["metadata"]["annotations"]["egi.eu/primary_group"] == DATA
    assert pod["metadata"]["annotations"]["egi.eu/flavor"] == "vo-data-lab-test-large"
    limits = pod["spec"]["containers"][0]["resources"]["limits"]
    assert (limits["cpu"], limits["memory"]) == ("500m", str(700 * 1024**2))
    with member.kernel() as kernel:
        assert kernel.run("print(open('/data/vo/note').read())").strip() == "of the VO"
        assert "Read-only" in kernel.run("import subprocess; print(subprocess.getoutput('touch /data/vo/mine'))")
    member.stop()

    other = person(urn(VO)).log_in()
    assert "vo-data-lab-test" not in other.page("/hub/home").text
    # Who asks for it by the API gets what is theirs.
    pod = other.start_profile("vo-data-lab-test-large")
    assert pod["metadata"]["annotations"]["egi.eu/primary_group"] == VO
    assert "/data/vo" not in json.dumps(pod["spec"])


def test_an_admin_is_one_by_role_and_as_long_as_they_have_it(lab, person):
    boss = person(urn(VO), urn(VO, "vm_operator")).log_in()
    assert boss.api.get(f"{lab.url}/hub/api/users", timeout=TIMEOUT).status_code == 200
    boss.become(entitlements=[urn(VO)])
    boss.log_in()
    assert boss.api.get(f"{lab.url}/hub/api/users", timeout=TIMEOUT).status_code == 403


def test_an_outsider_is_told_all_vos_and_where_to_join(person):
    page = person(urn("vo.other")).visit()
    refused(page, VO, TRAINING, ASSURED)
    assert f'href="https://aai.lab.test/auth/realms/id/account/#/enroll?groupPath=/{VO}"' in page.text


def test_who_is_not_assured_well_enough_is_told_so(person):
    somebody = person(urn(ASSURED), eduperson_assurance=["https://aai.egi.eu/LoA#Substantial"])
    refused(somebody.visit(), ASSURED, "LoA#High")
    somebody.become(eduperson_assurance=["https://aai.egi.eu/LoA#Substantial", "https://aai.egi.eu/LoA#High"])
    assert somebody.visit().status_code == 200


def test_two_people_of_one_preferred_name_have_a_home_each(lab, person):
    with mapper("profile", "preferred_username", **{"user.attribute": "chosen_name"}):
        twins = [person(urn(VO), chosen_name=["marta"]).log_in() for _ in range(2)]
        assert len({twin.name for twin in twins}) == 2
        for twin in twins:
            twin.start()
            twin.write("whose.txt", twin.identifier)
        for twin in twins:
            assert twin.read("whose.txt") == twin.identifier
            assert lab.run("nfs", f"cat /srv/homes/{twin.name}/whose.txt") == twin.identifier


BOSS = urn(VO, "vm_operator")
HOSTILE = {
    "line breaks": {"entitlements": [urn(VO) + "\n", BOSS.replace(":role", "\n:role")]},
    "quotes": {"entitlements": [urn(VO + '"'), urn(VO + "'"), urn(VO + "<script>"), urn(f'{VO}"', "vm_operator")]},
    "a long name": {"entitlements": [urn("v" * 1900)]},
    "look-alikes": {"entitlements": [BOSS.replace("o", "\u043e"), urn(VO + "\u200b"), urn(VO.upper(), "VM_OPERATOR")]},
    "escapes": {"entitlements": [urn(VO + "%00"), urn(VO + "%0A"), urn(VO, "vm_operator%zz")]},
    "no group of ours": {"entitlements": [urn(f"x:{VO}"), f"urn:mace:egi.eu:res:{VO}#aai.egi.eu", VO]},
    "nobody": {"entitlements": [BOSS], "voperson_id": []},
    "a line break in the name": {"entitlements": [BOSS], "voperson_id": ["a\nb@egi.eu"]},
    "a name of 2000 letters": {"entitlements": [BOSS], "voperson_id": ["x" * 2000]},
}


@pytest.mark.parametrize("claims", HOSTILE.values(), ids=HOSTILE)
def test_hostile_claims_get_nobody_in(person, claims):
    somebody = person(**claims)
    told = Client().log_in(somebody.login_name, SCOPES, password=somebody.password)
    info = Client().userinfo(told["access_token"])
    # What is tested comes to the hub as it is written here.
    assert sorted(info["entitlements"]) == sorted(claims["entitlements"])
    if "voperson_id" in claims:
        assert ([info["voperson_id"]] if "voperson_id" in info else []) == claims["voperson_id"]
    refused(somebody.visit())


def test_claims_of_another_shape_break_nothing(lab, person):
    somebody = person(urn(VO))
    with mapper("entitlements", "entitlements", multivalued="false"):
        # The claim is one bare text now, which is that one value.
        assert somebody.visit().status_code == 200
        with mapper("eduperson_entitlement", "eduperson_entitlement", multivalued="false"):
            assert somebody.visit().status_code == 200
    assert browser().get(f"{lab.url}/hub/health", timeout=TIMEOUT).status_code == 200


@pytest.mark.parametrize("claim", ["entitlements", "eduperson_entitlement"])
def test_each_claim_admits_alone(person, claim):
    other = {"entitlements": "eduperson_entitlement", "eduperson_entitlement": "entitlements"}[claim]
    with mapper(other, other, **{"claim.name": "something_else"}):
        assert person(urn(VO)).visit().status_code == 200


def test_a_stale_tab_and_many_entitlements_keep_nobody_out(lab, person):
    """Case 9 on the whole way: a tab whose session is over begins a login every few seconds."""
    member = person(*(urn(f"vo-{number}.example.org") for number in range(119)), urn(VO))
    for _ in range(60):
        answer = member.http.get(f"{lab.url}/hub/oauth_login", allow_redirects=False, timeout=TIMEOUT)
        assert answer.status_code == 302
    member.log_in()
    # As much as browsers send with the cookies of other services of the site's domain.
    others = {"Cookie": f"others={'x' * 16_000}"}
    assert member.api.get(f"{lab.url}/hub/api/user", headers=others, timeout=TIMEOUT).status_code == 200
