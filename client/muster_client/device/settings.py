"""The settings of a device, as its data hold them."""

from msgspec import Struct

from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.connect import PROTOCOL

DEFAULT_APP = "muster"


class DeviceSettings(Struct, frozen=True, kw_only=True):
    """The settings of a device. ``name`` is shown only to its own person."""

    hub_urls: tuple[str, ...]
    """The addresses of one hub, 1 to 8, tried in turn."""
    insecure: bool = False
    name: str = ""
    app: str = DEFAULT_APP
    app_version: str = ""
    protocol: ProtocolRange = PROTOCOL
    modes: tuple[Mode, ...] = tuple(Mode)
