"""Names of devices for people: nicknames, or short ids."""

from collections.abc import Mapping

from muster_client import Device
from muster_protocol.ids import ClientId

SHORT_CHARS = 8
"""Characters of a shortened id."""
THIS_DEVICE = "this device"


class Nicknames:
    """The nicknames of one device's peers, read once at creation."""

    def __init__(self, device: Device) -> None:
        self._own = device.client
        self._names: Mapping[ClientId, str] = {
            peer.client: peer.nickname for peer in device.peers.all() if peer.nickname is not None
        }

    def get(self, client: ClientId) -> str | None:
        """Return the nickname of a peer, or None."""
        return self._names.get(client)

    def call(self, client: ClientId) -> str:
        """Return a device's name for people: its nickname, or its short id."""
        if client == self._own:
            return THIS_DEVICE
        return self._names.get(client, short(client))


def short(identifier: str) -> str:
    """Return the first characters of an id."""
    return identifier[:SHORT_CHARS]
