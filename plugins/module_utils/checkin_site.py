# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hub's pages say about the service: its name, logo, welcome text, links and support contact."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

from ansible_collections.egi.notebooks.plugins.module_utils.checkin import (
    Problems,
    SettingsError,
    check_line,
    check_mapping,
    check_url,
    is_url,
    must_be,
)

KEYS = ("name", "logo", "welcome", "links", "support")
LINK_KEYS = ("title", "url")
DEFAULT_NAME = "EGI Notebooks"
#: The logo is part of the hub's configuration, which a Kubernetes Secret of at most 1 MiB holds.
MAX_LOGO = 100_000
MAX_WELCOME = 2000
LOGO_TYPES = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
}
_LOGO = re.compile(r"data:image/(svg\+xml|png|jpeg|webp);base64,[A-Za-z0-9+/]+={0,2}")
_MAIL = re.compile(r"[^@\s:/?<>\"]+@[A-Za-z0-9.-]+")


def read_logo(where: str, path: str) -> str:
    """Return an image file of the control node as the data URL that ``site.logo`` takes."""
    file = Path(path).expanduser()
    if not file.is_absolute() or file.suffix.lower() not in LOGO_TYPES:
        raise must_be(where, f"the absolute path of a file with one of the endings {', '.join(LOGO_TYPES)}", path)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{where}: cannot read {path} on the control node: {error.strerror}.") from error
    if not content or len(content) > MAX_LOGO:
        raise SettingsError(f"{where}: {path} has {len(content)} bytes; must have 1 to {MAX_LOGO} bytes.")
    return f"data:{LOGO_TYPES[file.suffix.lower()]};base64,{base64.b64encode(content).decode()}"


def support_url(support: str) -> str:
    """Return the URL of a support contact, which is a URL or an e-mail address."""
    return f"mailto:{support}" if _MAIL.fullmatch(support) else support


def read_site(problems: Problems, where: str, given: object) -> dict[str, Any]:
    """Return what the hub's pages say, complete, and note what is wrong with it."""
    site = problems.catch({}, check_mapping, where, given, KEYS)
    problems.keys(where, site, KEYS)
    name = problems.catch(DEFAULT_NAME, check_line, f"{where}.name", site.get("name", DEFAULT_NAME))
    logo, welcome, support = (site.get(key) or "" for key in ("logo", "welcome", "support"))
    if logo and not (isinstance(logo, str) and _LOGO.fullmatch(logo) and len(logo) <= MAX_LOGO * 4 / 3 + 100):
        problems.add(f"{where}.logo", "a data: URL of an SVG, PNG, JPEG or WebP image of at most 100 kB", logo)
    if not isinstance(welcome, str) or len(welcome) > MAX_WELCOME:
        problems.add(f"{where}.welcome", f"a text of at most {MAX_WELCOME} characters", welcome)
        welcome = ""
    if support and not (isinstance(support, str) and (_MAIL.fullmatch(support) or is_url(support))):
        problems.add(f"{where}.support", "an https:// URL or an e-mail address", support)
        support = ""
    return {
        "name": name,
        "logo": logo,
        # One paragraph for each block of lines.
        "welcome": [" ".join(block.split()) for block in re.split(r"\n\s*\n", welcome) if block.strip()],
        "links": _links(problems, f"{where}.links", site.get("links") or []),
        "support": support and {"text": support, "url": support_url(support)},
    }


def _links(problems: Problems, where: str, given: object) -> list[dict[str, str]]:
    """Return the links at the foot of a page."""
    if not isinstance(given, (list, tuple)):
        problems.add(where, f"a list of mappings of {', '.join(LINK_KEYS)}", given)
        return []
    links = []
    for index, entry in enumerate(given):
        here = f"{where}[{index}]"
        link = problems.catch({}, check_mapping, here, entry, LINK_KEYS)
        if link:
            problems.keys(here, link, LINK_KEYS)
            title = problems.catch("", check_line, f"{here}.title", link.get("title"))
            url = problems.catch("", check_url, f"{here}.url", link.get("url"))
            links.append({"title": title, "url": url})
    return links
