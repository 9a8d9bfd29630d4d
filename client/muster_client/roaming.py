"""Noticing that the machine is on another network: the way to the hub starts at another of its own addresses."""

import socket

_DISCARD = 9
"""Any port will do: nothing is sent."""


def way_to(peer: str) -> str | None:
    """Give the local address from which the system would reach this address now; None where there is no way."""
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((peer, _DISCARD))
        except OSError:
            return None
        return str(probe.getsockname()[0])
