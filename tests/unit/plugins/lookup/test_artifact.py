# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The artifact lookup and the manifest behind it."""

from __future__ import annotations

import re

import pytest
from ansible.errors import AnsibleError
from ansible.plugins.loader import lookup_loader

from ansible_collections.egi.notebooks.plugins.plugin_utils.artifacts import MANIFEST, describe, load_manifest

PINNED = {
    "tool": {
        "kind": "files",
        "version": "1.2.3",
        "url": "https://example.org/v{version}/tool",
        "sha256": "ab" * 32,
        "checksum_url": "https://example.org/v{version}/SHA256SUMS",
    }
}


@pytest.mark.parametrize("name", sorted(load_manifest()))
def test_every_artifact_has_an_exact_version_and_a_full_address(name):
    found = describe(load_manifest(), name, None, "")
    assert found["version"] not in ("latest", "")
    if "image" in found:
        registry, path = found["image"].split("/", 1)
        assert "." in registry
        assert re.fullmatch(r"[a-z0-9/._-]+:[\w.-]+", path)
    else:
        assert re.fullmatch(r"https://\S+", found["url"])
        assert "{" not in found["url"]
        assert re.fullmatch(r"(sha256:([0-9a-f]{64}|https://\S+))?", found["checksum"])
        assert "{" not in found["checksum"]


def test_the_kubernetes_programs_and_images_are_of_one_version():
    entries = load_manifest()
    files = {entries[name]["version"] for name in ("kubeadm", "kubelet", "kubectl")}
    images = {
        entries[name]["version"]
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
    }
    assert images == {f"v{version}" for version in files}


def test_a_file_comes_from_upstream_or_from_the_mirror():
    path = "dl.k8s.io/release/v1.35.4/bin/linux/amd64/kubeadm"
    for mirror, prefix in (("", "https://"), ("https://m.test", "https://m.test/"), ("http://m/x/", "http://m/x/")):
        assert describe(load_manifest(), "kubeadm", "1.35.4", mirror) == {
            "name": "kubeadm",
            "version": "1.35.4",
            "url": prefix + path,
            "checksum": f"sha256:{prefix}{path}.sha256",
        }


@pytest.mark.parametrize("mirror", ["mirror", "ftp://mirror", "https://u:p@mirror/x"])
def test_a_mirror_that_is_no_address_without_a_login_is_refused_and_no_password_shown(mirror):
    with pytest.raises(AnsibleError, match="The mirror of artifacts must be") as error:
        lookup_loader.get("egi.notebooks.artifact").run(["kubeadm"], variables={}, mirror=mirror)
    assert "u:p" not in str(error.value)


def test_an_image_keeps_its_name_with_a_mirror():
    assert describe(load_manifest(), "traefik", None, "https://m.test") == {
        "name": "traefik",
        "version": "v3.7.15",
        "image": "docker.io/library/traefik:v3.7.15",
    }
    assert describe(load_manifest(), "traefik", "v3.8.0", "")["image"] == "docker.io/library/traefik:v3.8.0"


def test_a_pinned_checksum_is_used_for_its_own_version_alone():
    assert describe(PINNED, "tool", "v1.2.3", "")["checksum"] == "sha256:" + "ab" * 32
    assert (
        describe(PINNED, "tool", "1.2.4", "https://m")["checksum"] == "sha256:https://m/example.org/v1.2.4/SHA256SUMS"
    )


def test_a_leading_v_of_a_file_version_is_dropped():
    assert describe(PINNED, "tool", "v1.2.4", "")["url"] == "https://example.org/v1.2.4/tool"


def test_an_empty_version_is_the_manifests():
    assert describe(PINNED, "tool", "", "")["version"] == "1.2.3"


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(AnsibleError, match="must be one of cni-plugins, .*kubeadm.*; got 'kubadm'"):
        describe(load_manifest(), "kubadm", None, "")


@pytest.mark.parametrize("version", [1.36, 1, ["1.36.3"], "1.36/../x", "1 2", "{version}"])
def test_a_version_that_is_none_is_refused(version):
    with pytest.raises(AnsibleError, match="The version of artifact 'tool'"):
        describe(PINNED, "tool", version, "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("files: {}\n", "must have the sections files, images"),
        (
            "files: {a: {version: '1', url: 'https://x', sha: b}}\nimages: {}\n",
            r"bad entry 'a': unknown keys \['sha'\]",
        ),
        ("files: {a: {version: '1'}}\nimages: {}\n", r"missing keys \['url'\]"),
        ("files: {a: {version: 1.36, url: 'https://x'}}\nimages: {}\n", "must be a quoted string; got float 1.36"),
        ("files: {a: {version: '1', url: 'https://x'}}\nimages: {a: {version: '1', image: x}}\n", "both as a file and"),
        ("files: [\n", "cannot be read"),
    ],
)
def test_a_bad_manifest_is_refused_in_one_message(tmp_path, text, message):
    path = tmp_path / "artifacts.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AnsibleError, match=message):
        load_manifest(path)


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(AnsibleError, match="nowhere.yml cannot be read"):
        load_manifest(tmp_path / "nowhere.yml")


def test_the_manifest_is_found_beside_the_plugin():
    assert MANIFEST.is_file()
