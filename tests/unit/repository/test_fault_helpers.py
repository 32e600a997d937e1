# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fault tests look for, so that their searches can find it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, strategies
from leaks import spellings
from proxy import leads_into_the_cluster


@given(strategies.binary(max_size=40), strategies.text("abcdef0123456789", min_size=32), strategies.binary(max_size=40))
def test_base64_shows_a_secret_wherever_it_stands(before, secret, after):
    shown = base64.b64encode(before + secret.encode() + after).decode()
    assert any(spelling in shown for spelling in spellings({secret}))
    assert min(len(spelling) for spelling in spellings({secret})) >= 32


@pytest.mark.parametrize(
    ("request_line", "inside"),
    [
        ("CONNECT 10.96.0.1:443", True),
        ("CONNECT worker.lab.test:10250", True),
        ("CONNECT hub.jupyterhub.svc:8081", True),
        ("GET http://10.244.0.5:8081/hub/metrics", True),
        ("GET http://prometheus.monitoring.svc.cluster.local/", True),
        ("CONNECT mirror.lab.test:443", False),
        ("GET http://mirror.lab.test/debian/", False),
        ("CONNECT 1.1.1.1:443", False),
    ],
)
def test_requests_for_the_cluster_itself_are_known(request_line, inside):
    assert leads_into_the_cluster(request_line) is inside
