# Copyright: (c) EGI Notebooks contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's name server: dnsmasq, which knows the lab's names and nobody else's."""

from __future__ import annotations

from pathlib import Path

from lab.settings import CHECKIN_ADDRESS, DNS_ADDRESS, DOMAIN, MIRROR_ADDRESS, NODES

_NODES = {node.name: node.address for node in NODES}
#: Address of each name. The first name of an address is the one that a reverse look-up gives.
HOSTS = {
    f"mirror.{DOMAIN}": MIRROR_ADDRESS,
    f"aai.{DOMAIN}": CHECKIN_ADDRESS,
    **{node.fqdn: node.address for node in NODES},
    f"notebooks.{DOMAIN}": _NODES["edge"],
    f"nb-alias.{DOMAIN}": _NODES["edge"],
}


def config(state: Path) -> str:
    """The configuration of dnsmasq. Whatever is not the lab's does not exist (NXDOMAIN), so clients give up at once."""
    records = "".join(f"host-record={name},{address}\n" for name, address in HOSTS.items())
    return (
        "keep-in-foreground\n"
        "log-facility=-\n"
        f"pid-file={state}/dns/dnsmasq.pid\n"
        f"listen-address={DNS_ADDRESS}\n"
        "bind-interfaces\n"
        "no-resolv\n"
        "no-hosts\n"
        "address=/#/\n"
        f"{records}"
    )


def prepare(state: Path) -> None:
    folder = state / "dns"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dnsmasq.conf").write_text(config(state))


def command(state: Path) -> list[str]:
    """The daemon's command line: to be run inside the lab's namespace, after :func:`prepare`."""
    return ["dnsmasq", f"--conf-file={state}/dns/dnsmasq.conf"]
