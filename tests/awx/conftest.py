# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of AWX share."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader

from tests.awx.job import ROOT, Job


@pytest.fixture(scope="session")
def environment() -> pathlib.Path:
    """What `tests/awx/install` has made."""
    path = os.environ.get("EGI_NOTEBOOKS_AWX")
    assert path, "`make test-awx` makes the environment of these tests and names it in EGI_NOTEBOOKS_AWX"
    return pathlib.Path(path)


@pytest.fixture
def new_job(tmp_path, environment) -> Callable[[], Job]:
    """Return a function that prepares a job."""
    return lambda name="job": Job(tmp_path / name, environment)


@pytest.fixture(scope="session")
def credential_types() -> dict[str, dict]:
    """The credential types of the playbook, by their kind."""
    return DataLoader().load_from_file(str(ROOT / "playbooks/vars/awx.yml"))["awx_credential_types"]


@pytest.fixture(scope="session")
def definition() -> dict:
    """The definition of the execution environment."""
    return yaml.safe_load((ROOT / "execution-environment.yml").read_text())
