"""The demo's devices: who they are, what they said about each other, and what should become of a call to each."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from muster_client import Device
from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.reasons import Reason

CALLER = "laptop"
GRANT_MS = 3600 * 1000


@dataclass(frozen=True, slots=True)
class CalledDevice:
    """A device that the laptop calls. ``reason`` None: it should join."""

    name: str
    story: str
    reason: Reason | None = None


FLEET = (
    CalledDevice("workstation", "trusted and granted"),
    CalledDevice("nas", "trusted and granted"),
    CalledDevice("tablet", "trusted and granted"),
    CalledDevice("phone", "switched off", Reason.OFFLINE),
    CalledDevice("printer", "took its grant back", Reason.GRANT_REVOKED),
    CalledDevice("studio", "its key has changed", Reason.KEY_MISMATCH),
    CalledDevice("museum", "an older protocol", Reason.INCOMPATIBLE_PROTOCOL),
    CalledDevice("neighbour", "never trusted us", Reason.NOT_MUTUALLY_TRUSTED),
)
JOINERS = tuple(called.name for called in FLEET if called.reason is None)
OLDER_PROTOCOL = ProtocolRange(0, 0)


class Fleet:
    """The devices' data folders under one folder, and the order in which they are set up."""

    def __init__(self, root: Path, hub_url: str) -> None:
        self.root = root
        self.devices = {
            name: Device.create(root / name, hub_url=hub_url, name=name)
            for name in (CALLER, *(called.name for called in FLEET))
        }

    def close(self) -> None:
        """Close the folders, so that the agents have them to themselves."""
        for device in self.devices.values():
            device.close()

    def introduce(self) -> None:
        """Let each say whom it trusts and what it grants, then let some of them change their mind."""
        for called in FLEET:
            self._trust(CALLER, called.name)
            self._grant(CALLER, called.name)
            if called.reason is not Reason.NOT_MUTUALLY_TRUSTED:
                self._trust(called.name, CALLER)
                self._grant(called.name, CALLER)
        # In a mesh everybody trusts everybody, so those who meet have compared words too.
        for one in JOINERS:
            for other in JOINERS:
                if one != other:
                    self._trust(one, other)
        self.devices["printer"].peers.revoke(self.devices[CALLER].client)
        self.devices["studio"].rotate()
        museum = self.devices["museum"]
        museum.configure(msgspec.structs.replace(museum.settings, protocol=OLDER_PROTOCOL))

    def _trust(self, one: str, other: str) -> None:
        peer = self.devices[other]
        self.devices[one].peers.trust(peer.client, peer.fingerprint, other)

    def _grant(self, one: str, other: str) -> None:
        self.devices[one].peers.grant(self.devices[other].client, mode=Mode.JOIN, lasts_ms=GRANT_MS)
