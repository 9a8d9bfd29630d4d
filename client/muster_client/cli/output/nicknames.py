"""What people call devices here, and the other way round."""

from collections.abc import Mapping

from muster_client import Device
from muster_protocol.ids import ClientId

SHORT_CHARS = 8
"""Characters of an id that are shown where the whole is not needed."""
THIS_DEVICE = "this device"


class Nicknames:
    """The names of one device's peers, as they were when this was made."""

    def __init__(self, device: Device) -> None:
        self._own = device.client
        self._names: Mapping[ClientId, str] = {
            peer.client: peer.nickname for peer in device.peers() if peer.nickname is not None
        }

    def get(self, client: ClientId) -> str | None:
        """Give the nickname of a peer, or None."""
        return self._names.get(client)

    def call(self, client: ClientId) -> str:
        """Name a device for people: its nickname, or the beginning of its id."""
        if client == self._own:
            return THIS_DEVICE
        return self._names.get(client, short(client))


def short(identifier: str) -> str:
    """Give the beginning of an id."""
    return identifier[:SHORT_CHARS]
