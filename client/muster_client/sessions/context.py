"""What the parts of an agent share: its data, its link, its clock and its events."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from muster_client.connection.link import Link
from muster_client.device.clock import DeviceClock
from muster_client.device.device import Device
from muster_client.errors import DataNotWritten, HubRefused, NoReply, Obstacle
from muster_client.events import DataUnwritable, Event
from muster_client.sessions.leaves import Leaves
from muster_protocol.attended import Attended
from muster_protocol.errors import Refused
from muster_protocol.exchange import Invite
from muster_protocol.frames import CardReply, GetCard
from muster_protocol.ids import ClientId, SessionId
from muster_protocol.keys import PublicKey
from muster_protocol.own_decision import OwnFacts
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.sealing import EPOCH_KEY_BYTES, RECEIVE_SEED_BYTES, EpochKey, ReceiveKey

SAID_BY_A_CARD = frozenset({Reason.INCOMPATIBLE_PROTOCOL, Reason.INCOMPATIBLE_APP, Reason.MODE_UNSUPPORTED})
"""Reasons that a newer card of the peer may take away."""
MAX_HELD, MAX_HELD_PER_CREATOR = 256, 64
"""Sessions of other devices that a process is in at once, and of one creator among them: a hub may bound neither."""


@dataclass(frozen=True, slots=True)
class DeviceStore:
    """The device's own store as its sessions ask it: read from the database each time, with the standing at the hub."""

    device: Device
    link: Link
    held: Mapping[SessionId, Attended]
    """The sessions of others that this process is in: what is known of them outlasts their rows."""

    def facts(self) -> OwnFacts:
        """Return what the device knows now."""
        return self.device.facts(self.link.standing)

    def attended(self, session: SessionId) -> Attended | None:
        """Return what the device knows of a session that it joined, or None."""
        return self.held.get(session) or self.device.attended.get(session)


@dataclass(frozen=True, slots=True)
class SessionContext:
    """The device, link, clock and event sink of one agent, and what it said as it left sessions."""

    device: Device
    link: Link
    now: DeviceClock
    tell: Callable[[Event], None]
    leaves: Leaves
    _held: dict[SessionId, Attended] = field(default_factory=dict)

    @property
    def own(self) -> DeviceStore:
        """The store that the machines of sessions ask at each act."""
        return DeviceStore(self.device, self.link, self._held)

    def attend(self, session: SessionId, now: Attended) -> None:
        """Store what a session of another device is at the newest epoch accepted, durably."""
        self.device.attended.put(session, now)
        self._held[session] = now

    def check_place(self, invite: Invite) -> None:
        """Raise ``Refused(overloaded)`` where this process is in as many sessions as it can be, and not in this one."""
        held = self._held
        of_creator = sum(one.creator_key == invite.sender_key for one in held.values())
        if invite.session not in held and (len(held) >= MAX_HELD or of_creator >= MAX_HELD_PER_CREATOR):
            raise Refused(Reason.OVERLOADED, "as many sessions are held as can be")

    def attend_no_more(self, session: SessionId) -> None:
        """Record that this process is out of a session; its row stays."""
        self._held.pop(session, None)

    async def key_of(self, peer: ClientId) -> PublicKey | Obstacle:
        """Return the public key behind a peer's pin; its card is fetched once. Raises ``NoReply``."""
        known = self.device.peers.peer_key(peer)
        if known is not None:
            return known
        obstacle = await self._learn_card(peer)
        return obstacle or self.device.peers.peer_key(peer) or Obstacle(peer, Reason.NOT_TRUSTED, Sayer.DEVICE)

    async def decided(self, peer: ClientId, decide: Callable[[], Reason | None]) -> Reason | None:
        """Return what this device decides about a peer. For what a card says it asks for the newest card first.

        The push of a newer card may have been lost.
        """
        reason = decide()
        if reason not in SAID_BY_A_CARD:
            return reason
        with suppress(NoReply):
            await self._learn_card(peer)
        return decide()

    async def _learn_card(self, peer: ClientId) -> Obstacle | None:
        """Ask for a peer's card and store it, or return what stands in the way. Raises ``NoReply``."""
        try:
            card = await self.link.ask(GetCard(id=0, client=peer), CardReply)
            self.device.peers.learn_card(card.card, peer)
        except HubRefused as refused:
            return Obstacle(peer, refused.reason, Sayer.HUB)
        except Refused as refused:
            return Obstacle(peer, refused.reason, Sayer.DEVICE)
        except DataNotWritten as error:
            self.tell(DataUnwritable(sentence=str(error)))
            return Obstacle(peer, Reason.NO_ANSWER, Sayer.DEVICE)
        return None


def fresh_epoch_key() -> EpochKey:
    """Make a key for one epoch."""
    return EpochKey(os.urandom(EPOCH_KEY_BYTES))


def fresh_receive_key() -> ReceiveKey:
    """Make a receive key for one answer or one ``joined``."""
    return ReceiveKey.from_seed(os.urandom(RECEIVE_SEED_BYTES))
