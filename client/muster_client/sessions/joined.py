"""A session of another device: this one opens each epoch's key and says ``joined`` (SPEC.md sections 7 and 8)."""

from collections.abc import Mapping

import structlog
from msgspec import structs
from typing_extensions import override

from muster_client.errors import HubRefused, NoReply, Obstacle, UnknownSession
from muster_client.sessions.context import SessionContext, fresh_receive_key
from muster_client.sessions.session import Session
from muster_protocol.attended import Attended
from muster_protocol.epochs import Epoch, check_pins
from muster_protocol.errors import Refused
from muster_protocol.exchange import Joined, Leave
from muster_protocol.frames import (
    MAX_SESSION_MS,
    EpochPush,
    MemberState,
    Ok,
    ResumeSession,
    SendJoined,
    SessionReply,
    SessionUpdatePush,
)
from muster_protocol.ids import ClientId, Fingerprint, InviteId, TimeMs
from muster_protocol.joining import Joining
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.roster import Roster
from muster_protocol.signed import Signed, read, verify

_log = structlog.get_logger("muster.session")

DISHONEST = frozenset({Reason.EPOCH_FORKED, Reason.KEY_MISMATCH, Reason.NOT_TRUSTED})
"""Reasons to refuse an epoch that no later epoch repairs: this member leaves."""


class AttendedSession(Session):
    """A session as one of its members runs it."""

    _machine: Joining

    def __init__(self, context: SessionContext, machine: Joining) -> None:
        invite = machine.received.invite
        super().__init__(
            context,
            session=invite.session,
            creator=invite.sender,
            mode=invite.mode,
            profile=invite.profile,
            kind=invite.kind,
            created_at=None,
            ends_at=TimeMs(context.now() + MAX_SESSION_MS),
        )
        self._machine = machine
        self._unsaid: Signed | None = None
        self._roster = Roster()

    @override
    def _has_joined(self, member: ClientId) -> bool:
        return self._roster.has_joined(member, self._known.epoch.key_of(member))

    @property
    def admitted_by(self) -> InviteId:
        """The invite by which this member was admitted last."""
        return self._machine.received.invite.invite

    @property
    def holds_key(self) -> bool:
        """Whether this member has the key of the newest epoch that it followed."""
        return self._machine.holds_key

    # -- joining and staying a member ----------------------------------------------------------------------------------

    async def enter(self, machine: Joining) -> None:
        """Send ``joined`` for the admission that ``machine`` opened; also after this member was admitted again.

        Raises what ``say_joined`` raises.
        """
        self._machine = machine
        # The hub took the epoch, and so each member in it.
        self._denied.clear()
        self._unsaid = machine.joined_statement(fresh_receive_key(), self._context.device.date())
        await self.say_joined()
        self._tell_joined()
        self._tell_members()

    async def say_joined(self) -> None:
        """Send the newest ``joined`` if the hub is not known to have it; the next connect sends it again.

        Raises ``Refused`` where this device's own pins speak against a member now; then it is not sent.
        """
        saying = self._unsaid
        if saying is None:
            return
        try:
            await self._context.link.ask(SendJoined(id=0, joined=saying), Ok, self._machine.check_members)
        except NoReply:
            return
        except HubRefused as refused:
            _log.info("joined_refused", session=self.id[:8], reason=refused.reason)
        if self._unsaid is saying:
            self._unsaid = None

    async def on_epoch(self, push: EpochPush) -> None:
        """Move on to the next epoch; raises ``Refused``, with ``mismatch`` where an epoch in between was missed."""
        self._machine.on_epoch(push.epoch, push.sealed)
        # The hub took the epoch, and so each member in it.
        self._denied.clear()
        self._unsaid = self._machine.joined_statement(fresh_receive_key(), self._context.device.date())
        self._context.attend(self.id, Attended.at(self._machine.received.invite, self._known))
        await self.say_joined()
        self._tell_members()

    async def on_reply(self, reply: SessionReply) -> None:
        """Resync with the hub, which shows the epochs that were missed."""
        mine = next((member for member in reply.members if member.client == self._context.device.client), None)
        if not reply.open or mine is None or mine.state is MemberState.OUT:
            self.end((mine.reason if mine is not None else None) or Reason.SESSION_CLOSED, Sayer.HUB)
            return
        await self._catch_up(reply)
        for signed in reply.joined:
            await self.on_joined(signed)
        for member in reply.members:
            self._heard_of(member.client, member.state, member.reason)
        await self.say_joined()

    async def _catch_up(self, reply: SessionReply) -> None:
        if not reply.epochs:
            return
        # The key in the reply is that of the newest epoch, which a later page may bring.
        newest = read(reply.epochs[-1], Epoch).number >= reply.epoch
        for skipped in reply.epochs[:-1] if newest else reply.epochs:
            self._machine.on_skipped(skipped)
        if not newest:
            return
        if reply.sealed is None:
            raise Refused(Reason.CANNOT_OPEN, "no key for this member")
        await self.on_epoch(EpochPush(session=self.id, epoch=reply.epochs[-1], sealed=reply.sealed))

    async def resume(self) -> None:
        """Ask the creator to admit this device again, since it has no key of the newest epoch."""
        try:
            await self._context.link.ask(ResumeSession(id=0, session=self.id), Ok)
        except (HubRefused, NoReply) as error:
            _log.info("resume_failed", session=self.id[:8], cause=str(error))

    # -- messages -----------------------------------------------------------------------------------------------------

    async def on_joined(self, signed: Signed) -> None:
        """Record that another member joined, if its key is known and the statement verifies.

        In a star this device trusts only the creator, and has no key to verify the others' statements.
        """
        sender = next((member for member in self._known.epoch.members if member.key == signed.signer), None)
        if sender is None or sender.client not in self._context.device.peers.pins():
            return
        key = await self._context.key_of(sender.client)
        if isinstance(key, Obstacle):
            return
        try:
            joined = verify(signed, key, Joined)
            if (joined.session, joined.member, joined.member_key) == (self.id, sender.client, sender.key):
                self._roster.on_joined(joined)
                self._left.pop(sender.client, None)
                self._tell_members()
        except Refused:
            return

    def on_leave(self, leave: Leave) -> None:
        """Record that a member left, by its own verified statement; raises ``Refused`` for an earlier one."""
        self._roster.on_leave(leave, self._known.epoch)
        self._went_out(leave.member, None)

    def on_update(self, push: SessionUpdatePush) -> None:
        """Apply the hub's word on the session or a member."""
        if push.state == "closed":
            self.end(push.reason or Reason.SESSION_CLOSED, Sayer.HUB)
        elif push.state == MemberState.OUT and push.client == self._context.device.client:
            self.end(push.reason or Reason.NOT_A_MEMBER, Sayer.HUB)
        elif push.state == MemberState.OUT and push.client is not None:
            self._heard_of(push.client, MemberState.OUT, push.reason)

    def check_pins(self, pins: Mapping[ClientId, Fingerprint]) -> None:
        """Compare the members that are not said to be gone with these pins; raises ``Refused`` as ``check_pins`` does.

        The newest epoch names one that went until the creator admits a device again.
        """
        gone = self._left.keys() | self._denied.keys()
        here = tuple(member for member in self._known.epoch.members if member.client not in gone)
        epoch = structs.replace(self._known.epoch, members=here)
        check_pins(epoch, self.kind, self.creator, self._context.device.client, pins)

    # -- ending -------------------------------------------------------------------------------------------------------

    @override
    async def leave(self) -> None:
        """Leave; raises ``HubRefused``, ``NoReply`` where the hub may not have taken it.

        Then this device may still be a member, and its agent says it again until the hub has it.
        """
        await self.tell_leave()
        self.end(None, Sayer.DEVICE)

    async def tell_leave(self) -> None:
        """Say that this member leaves, and change nothing here; raises what ``leave`` raises."""
        await self._context.leaves.say(self.id, self._machine.leave(self._context.device.date()))

    @override
    async def close(self) -> None:
        raise UnknownSession(self.id)

    def end_in_time(self) -> None:
        """End the session where it is older than any can be, by this device's clock: a hub may keep it open."""
        if self._context.now() >= self.ends_at:
            self.end(Reason.SESSION_CLOSED, Sayer.DEVICE)

    @override
    def end(self, reason: Reason | None, sayer: Sayer) -> None:
        if self.ended is None:
            self._context.attend_no_more(self.id)
        super().end(reason, sayer)
