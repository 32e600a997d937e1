# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of Sphinx for the documentation site; docs/docsite/build copies this file to the pages and runs it."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import yaml
from docutils import nodes

PAGES = Path(__file__).resolve().parent
ROOT = PAGES.parents[1]
REPOSITORY = "https://github.com/EGI-Federation/egi-notebooks-ansible"
#: README.md has absolute links, which work in the installed collection too. On the site they lead to its own pages.
ABSOLUTE = re.compile(
    r"https://(?:github\.com|raw\.githubusercontent\.com)/EGI-Federation/egi-notebooks-ansible/(?:(?:blob|tree)/)?main/"
)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")
#: Labels of Ansible's own documentation on pages that antsibull-docs writes.
ANSIBLE_LABELS = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}
ANSIBLE_DOCS = "https://docs.ansible.com/projects/ansible/latest/"
ANSIBLE_TARGET = re.compile(r"ansible_collections\.(\w+)\.(\w+)\.(\w+?)_(module|lookup|filter)(?:__.*)?")

project = html_title = "egi.notebooks"
author = "EGI Notebooks contributors"
copyright = author  # noqa: A001 - the name is Sphinx's
version = release = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
extensions = ["myst_parser", "sphinx_antsibull_ext"]
myst_heading_anchors = 4
nitpicky = True
# Commands of several lines in quotes are no error.
suppress_warnings = ["misc.highlighting_failure"]
pygments_style = "ansible"
html_theme = "furo"
html_copy_source = False
html_show_sphinx = False


def site_links(page: Path, text: str) -> str:
    """Return a page whose links to files that are no pages of the site lead to the repository."""
    there = page.relative_to(PAGES).parent

    def target(link: re.Match[str]) -> str:
        path, anchor = link[1], link[2] or ""
        file = (ROOT / there / path).resolve()
        if (page.parent / path).is_file() or not file.exists():
            # A page, or a broken link, which Sphinx reports.
            return link[0]
        kind = "tree" if file.is_dir() else "blob"
        return f"]({REPOSITORY}/{kind}/main/{file.relative_to(ROOT)}{anchor})"

    return LINK.sub(target, ABSOLUTE.sub("../" * len(there.parts), text))


def read_source(_app, name: str, source: list[str]) -> None:
    """Rewrite the links of a Markdown page when Sphinx reads it."""
    page = PAGES / f"{name}.md"
    if page.is_file():
        source[0] = site_links(page, source[0])


def ansible_link(_app, _environment, node, content):
    """Return a link to Ansible's own documentation for one of its labels or a plugin of another collection."""
    wanted = node.get("reftarget", "")
    page = ANSIBLE_LABELS.get(wanted)
    if (plugin := ANSIBLE_TARGET.fullmatch(wanted)) and plugin.group(1, 2) != ("egi", "notebooks"):
        page = "collections/{}/{}/{}_{}.html".format(*plugin.groups())
    return nodes.reference("", "", content, internal=False, refuri=ANSIBLE_DOCS + page) if page else None


def playbook_page(path: Path) -> str:
    """Return the section of a playbook: the comment on top of it, and its plays in order."""
    text = path.read_text(encoding="utf-8")
    comment = re.match(r"---\n((?:#.*\n)*)", text)[1]
    words = "\n".join(line.removeprefix("#").removeprefix(" ") for line in comment.splitlines())
    # Indented lines are commands.
    words = re.sub(r"(?m)^((?: {2,}.*\n?)+)", lambda block: f"\n```\n{dedent(block[1]).rstrip()}\n```\n\n", words)
    plays = "\n".join(f"1. {play['name']}" for play in yaml.safe_load(text))
    return f"## {path.stem}\n\n{words}\n\nPlays:\n\n{plays}\n\n"


def write_playbooks(_app) -> None:
    """Write the reference of playbooks."""
    sections = "".join(playbook_page(path) for path in sorted((ROOT / "playbooks").glob("*.yml")))
    head = "# Playbooks\n\nRun one by its name, `ansible-playbook -i INVENTORY egi.notebooks.NAME`.\n\n"
    (PAGES / "playbooks.md").write_text(head + sections, encoding="utf-8")


def setup(app) -> None:
    """Register the functions above."""
    app.connect("builder-inited", write_playbooks)
    app.connect("source-read", read_source)
    app.connect("missing-reference", ansible_link)
