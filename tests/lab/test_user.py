# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service as its users see it: a member of the VO works in a notebook, an outsider is told where to enrol."""

from __future__ import annotations

import hashlib
import json
import time
from urllib.parse import urljoin, urlsplit

import pytest
from browser import browser
from metrics import query

HOMES = "/srv/homes"
MEGABYTES = 100

#: What JupyterLab's own requests carry: a request of a page without it is refused.
TOKEN = """
const xsrf = document.cookie.split('; ').map(c => c.split('=')).find(c => c[0] === '_xsrf');
const token = {'X-XSRFToken': decodeURIComponent(xsrf[1])};
"""
#: A file in pieces of 1 MiB, as JupyterLab sends it: piece -1 is the last.
UPLOAD = """
const [base, name, megabytes] = args;
let piece = '';
for (let i = 0; i < 1024 * 1024; i++) piece += String.fromCharCode(i % 251);
const content = btoa(piece);
for (let number = 1; number <= megabytes; number++) {
  const answer = await fetch(`${base}api/contents/${name}`, {
    method: 'PUT', credentials: 'same-origin',
    headers: {'Content-Type': 'application/json', ...token},
    body: JSON.stringify({
      type: 'file', format: 'base64', name, path: name, content, chunk: number === megabytes ? -1 : number}),
  });
  if (!answer.ok) throw new Error(`piece ${number}: ${answer.status} ${await answer.text()}`);
}
return megabytes;
"""
READ = """
const answer = await fetch(`${args[0]}api/contents/${args[1]}?content=1&format=text&type=file`, {headers: token});
return answer.ok ? (await answer.json()).content : `status ${answer.status}`;
"""
#: Run in the user's server: which doors of the cluster are open to it.
REACH = """
import socket
def reach(host, port):
    with socket.socket() as door:
        door.settimeout(3)
        return door.connect_ex((host, port)) == 0
print("reached", *(reach(host, port) for host, port in (
    ("hub", 8081), ("proxy-api", 8001), ("kubernetes.default", 443), ("prometheus.monitoring", 9090),
    ("nfs.lab.test", 2049), ("edge.lab.test", 10250))))
"""
BASE_URL = "return JSON.parse(document.getElementById('jupyter-config-data').textContent).baseUrl;"


def record(lab, **seconds: float) -> None:
    """Add to tests/output/timings.json, which benchmarks/run.py reads."""
    path = lab.output / "timings.json"
    timings = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(timings | {name: round(value, 1) for name, value in seconds.items()}, indent=2) + "\n")


@pytest.fixture(scope="module")
def member(lab, tmp_path_factory):
    """A member's browser after the first login, in JupyterLab; the tests below go on in it, one after the other."""
    delete_servers(lab)
    # JupyterLab would open again what an earlier run of these tests left open.
    lab.host("nfs").check_output(f"rm -rf {HOMES}/*/.jupyter/lab/workspaces {HOMES}/*/proof.txt")
    with browser(lab, tmp_path_factory.mktemp("member")) as person:
        clicked = person.log_in(lab.url, "member", lab.secret("password-member"))
        ready = person.wait_for_lab()
        record(lab, first_spawn=ready - clicked)
        person.shot("member-3-jupyterlab")
        yield person


def delete_servers(lab) -> None:
    """Begin without a server; the hub asks every 30 s whether the servers it knows still run."""
    if lab.user_pods():
        lab.kubectl("delete", "pods", "-n", "jupyterhub", "-l", "component=singleuser-server", "--wait=true")
        time.sleep(45)


@pytest.fixture(scope="module")
def home(lab, member) -> str:
    """The member's directory on the NFS server, found by a file that a cell wrote."""
    member.find(".jp-LauncherCard[data-category='Notebook']").click()
    member.wait_for(".jp-Notebook .cm-content", timeout=60)
    member.run_cell("%%writefile proof.txt\nwritten by a cell", "Writing proof.txt")
    member.shot("member-4-cell")
    (proof,) = lab.host("nfs").check_output(f"find {HOMES} -name proof.txt").splitlines()
    return proof.removesuffix("/proof.txt")


def test_the_server_runs_on_the_worker(lab, member):
    (pod,) = lab.user_pods()
    assert pod["spec"]["nodeName"].startswith("worker")


def test_a_cell_writes_a_file_into_the_member_s_own_directory(lab, member, home):
    assert home.removeprefix(f"{HOMES}/").strip("/")
    owners = lab.host("nfs").check_output(f"stat --format '%u:%g %F' {home} {home}/proof.txt")
    assert owners.splitlines() == ["1000:100 directory", "1000:100 regular file"]
    assert lab.host("nfs").file(f"{home}/proof.txt").content_string.strip() == "written by a cell"


def test_the_cell_ran_over_a_websocket_through_the_edge(member, home):
    sockets = [urlsplit(url) for url in member.websockets()]
    assert [url for url in sockets if url.path.endswith("/channels")]
    assert {(url.scheme, url.netloc) for url in sockets} == {("wss", "notebooks.lab.test")}


def test_every_redirect_on_the_way_is_https_on_a_main_host(member, home):
    redirects = member.redirects()
    assert redirects
    for address, location in redirects:
        target = urlsplit(urljoin(address, location))
        assert target.scheme == "https", (address, location)
        assert target.netloc in ("notebooks.lab.test", "aai.lab.test"), (address, location)


def test_a_user_s_server_reaches_the_hub_and_nothing_else_inside(lab, member, home):
    # Not typed into the cell: the editor would add brackets and blanks of its own.
    lab.host("nfs").check_output(f"printf %s '{REACH}' >{home}/reach.py")
    member.run_cell("%run reach.py", "reached True False False False False False")
    lab.host("nfs").check_output(f"rm {home}/reach.py")


def test_no_sqlite_database_lies_on_nfs(lab, home):
    found = lab.host("nfs").check_output(f"find {home} -type f \\( -name '*.sqlite*' -o -name '*.db' \\)")
    assert found == ""


def test_usage_carries_the_user_s_full_name_and_vo(lab, member, home):
    (pod,) = lab.user_pods()
    annotations = pod["metadata"]["annotations"]
    expected = (annotations["hub.jupyter.org/username"], lab.vo)
    for metric, at_least in (("egi:user_cpu_usage:rate5m", 1e-4), ("egi:user_memory_working_set:bytes", 10e6)):
        deadline = time.monotonic() + 150
        while not (found := query(lab, metric)) and time.monotonic() < deadline:
            time.sleep(5)
        assert {(series["metric"]["username"], series["metric"]["vo"]) for series in found} == {expected}
        assert all(float(series["value"][1]) > at_least for series in found)


def test_a_large_upload_goes_through(lab, member, home):
    base = member.driver.execute_script(BASE_URL)
    started = time.monotonic()
    assert member.script(TOKEN + UPLOAD, base, "large.bin", MEGABYTES, timeout=400) == MEGABYTES
    record(lab, upload_100_mb=time.monotonic() - started)
    piece = bytes(i % 251 for i in range(1024 * 1024))
    expected = hashlib.sha256()
    for _ in range(MEGABYTES):
        expected.update(piece)
    assert lab.host("nfs").check_output(f"sha256sum {home}/large.bin").split()[0] == expected.hexdigest()
    lab.host("nfs").check_output(f"rm {home}/large.bin")


def test_the_file_is_still_there_after_stop_and_start(lab, member, home):
    member.driver.get(f"{lab.url}/hub/home")
    # The buttons do nothing before the page's script has come.
    member.wait(lambda driver: driver.execute_script("return window._jupyterhub_page_loaded"), 30, "the hub's page")
    member.wait_for("#stop").click()
    member.wait(
        lambda _: (button := member.find("#start")) and "my server" in button.text.lower() and not member.find("#stop"),
        60, "the stopped server",
    )  # fmt: skip
    member.shot("member-5-stopped")
    member.wait(lambda _: lab.user_pods() == [], 60, "the end of the server's pod")
    clicked = time.monotonic()
    member.find("#start").click()
    record(lab, second_spawn=wait_until_ready(member) - clicked)
    member.shot("member-6-started-again")
    base = member.driver.execute_script(BASE_URL)
    assert member.script(TOKEN + READ, base, "proof.txt").strip() == "written by a cell"


def wait_until_ready(person) -> float:
    """JupyterLab as it comes back: with the notebook that was open, or with its launcher."""

    def ready(_) -> bool:
        working = person.find(
            ".jp-LauncherCard[data-category='Notebook'], .jp-Notebook .cm-content, #jp-main-dock-panel"
        )
        return bool(working) and not person.find("#jupyterlab-splash")

    person.wait(ready, 120, "JupyterLab")
    return time.monotonic()


def test_an_outsider_is_told_which_vo_to_join_and_where(lab, tmp_path):
    directories = lab.host("nfs").check_output(f"ls {HOMES}")
    with browser(lab, tmp_path) as person:
        person.log_in(lab.url, "outsider", lab.secret("password-outsider"))
        person.wait(lambda driver: "/hub/" in driver.current_url and lab.vo in person.text(), 30, "the refusal")
        person.shot("outsider-3-refused")
        links = [
            link.get_attribute("href") for link in person.driver.find_elements("css selector", "a[href*='groupPath']")
        ]
        assert links
        assert any(lab.vo in link and link.startswith("https://") for link in links)
    assert lab.host("nfs").check_output(f"ls {HOMES}") == directories
