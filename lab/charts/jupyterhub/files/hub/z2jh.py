# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chart's values for the hub's configuration, with the names that the official chart's module of this name has:
``hub.extraConfig`` and ``hub.extraFiles`` import it.

Beside this file are mounted: ``secret/`` (values.yaml and generated secrets), ``existing-secret/`` (the site's own, it
wins) and ``config/`` (names of the chart's objects).
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_HERE = Path(__file__).parent
_REQUIRED = object()


def _merged(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: _merged(below[key], value) if key in below else value for key, value in above.items()}}


@cache
def _values() -> dict[str, Any]:
    values: dict[str, Any] = {}
    for source in ("secret", "existing-secret"):
        file = _HERE / source / "values.yaml"
        if file.exists():
            values = _merged(values, yaml.safe_load(file.read_text()) or {})
    return values


def get_config(key: str, default: Any = None) -> Any:
    """The value at a dotted path like ``hub.db.type``; the default where the path leads nowhere."""
    value: Any = _values()
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return default
        value = value[part]
    return value


def set_config_if_not_none(cparent: Any, name: str, key: str) -> None:
    """Set a trait from the value at a dotted path, unless that is null or missing."""
    value = get_config(key)
    if value is not None:
        setattr(cparent, name, value)


def get_secret_value(key: str, default: Any = _REQUIRED) -> Any:
    """One key of the site's existing Secret, else of the chart's own."""
    for source in ("existing-secret", "secret"):
        file = _HERE / source / key
        if file.exists():
            return file.read_text()
    if default is _REQUIRED:
        raise KeyError(f"neither hub.existingSecret nor the chart's Secret has the key {key}")
    return default


def get_name(name: str) -> str:
    """The name of one of the chart's objects, like ``proxy-public``."""
    return (_HERE / "config" / name).read_text()


def get_name_env(name: str, suffix: str = "") -> str:
    """An environment variable that Kubernetes sets for a Service, like PROXY_PUBLIC_SERVICE_PORT."""
    return os.environ[f"{get_name(name)}{suffix}".upper().replace("-", "_")]
