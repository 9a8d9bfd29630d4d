"""A session that this device created: it calls devices, admits them and learns who joined (SPEC.md section 7)."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress

import structlog
from typing_extensions import override

from muster_client.errors import HubRefused, NoReply
from muster_client.events import Target, TargetChanged
from muster_client.sessions.admitting import MAX_ADMITTED_AT_ONCE, Admitting
from muster_client.sessions.calls import Calls
from muster_client.sessions.context import SessionContext
from muster_client.sessions.session import Session
from muster_protocol.calls import TargetState
from muster_protocol.errors import Refused
from muster_protocol.exchange import Answer, Joined
from muster_protocol.frames import (
    CloseSession,
    GetSession,
    InviteUpdatePush,
    MemberState,
    Ok,
    Purpose,
    SessionReply,
    SessionUpdatePush,
)
from muster_protocol.ids import ClientId, TimeMs
from muster_protocol.inviting import Inviting
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.signed import Signed, read

MAX_WAITING_ANSWERS = 64

_DEPARTURES = {Kind.LEAVE: None, Kind.UNTRUST: Reason.NOT_TRUSTED, Kind.CARD: Reason.KEY_MISMATCH}
"""Why a member is out, by the kind of its own statement."""

_log = structlog.get_logger("muster.session")


class HostedSession(Session):
    """A session as its creator runs it. ``run`` must run for as long as the session is open."""

    _machine: Inviting

    def __init__(self, context: SessionContext, machine: Inviting, *, created_at: TimeMs, lasts_ms: int) -> None:
        plan = machine.plan
        super().__init__(
            context,
            session=plan.session,
            creator=plan.creator,
            mode=plan.mode,
            profile=plan.profile,
            kind=plan.kind,
            created_at=created_at,
            ends_at=TimeMs(created_at + lasts_ms),
        )
        self._machine = machine
        self._wake = asyncio.Event()
        self._answers: deque[Signed] = deque(maxlen=MAX_WAITING_ANSWERS)
        self._calls = Calls(context, machine, on_target=self._tell_target, wake=self._wake.set)
        self._admitting = Admitting(context, machine)

    @override
    def _has_joined(self, member: ClientId) -> bool:
        return self._machine.has_joined(member)

    @override
    def _blocks(self, member: ClientId) -> Reason | None:
        return self._machine.blocked.get(member)

    @property
    @override
    def targets(self) -> Mapping[ClientId, Target]:
        return self._calls.targets

    def begun(self) -> None:
        """Announce that the session exists, with its creator in it."""
        self._tell_joined()
        self._tell_members()

    def _tell_target(self, target: Target) -> None:
        self._tell(TargetChanged(session=self.id, target=target))

    @override
    async def invite(self, targets: Sequence[ClientId], *, purpose: Purpose = Purpose.AUTO) -> None:
        """Call devices. What prevents the call of one is shown as its refusal, and the others are called."""
        await self._calls.invite(targets, purpose)

    @override
    async def cancel(self) -> None:
        """Withdraw the invites that are open; the devices that joined stay."""
        await self._calls.cancel()

    # -- what the members and the hub send ----------------------------------------------------------------------------

    def on_answer(self, signed: Signed) -> None:
        """Queue an answer; ``run`` handles it."""
        self._answers.append(signed)
        self._wake.set()

    def on_joined(self, signed: Signed, joined: Joined) -> None:
        """Accept a member's ``joined``; raises ``Refused``."""
        self._machine.on_joined(signed, joined.member)
        self._calls.joined(joined.member)
        self._tell_members()

    def on_departure(self, kind: Kind, signed: Signed, member: ClientId) -> None:
        """Accept the statement by which a member goes: the next epoch is without it. Raises ``Refused``."""
        self._machine.on_departure(kind, signed, member)
        self._went_out(member, _DEPARTURES[kind])
        self._wake.set()

    def on_invite_update(self, push: InviteUpdatePush) -> None:
        """End the call whose invite is over, by the hub's word."""
        self._calls.on_invite_update(push)

    def on_update(self, push: SessionUpdatePush) -> None:
        """Apply the hub's word on the session or a member."""
        if push.state == "closed" or push.client == self.creator:
            self.end(push.reason or Reason.SESSION_CLOSED, Sayer.HUB)
        elif push.client is not None and push.state == "resume":
            self._calls.on_resume(push.client)
        elif push.client is not None and push.state == MemberState.OUT:
            self._on_out(push.client, push.reason)

    def _on_out(self, client: ClientId, reason: Reason | None) -> None:
        """Record that the hub removed a member. That ends no call that is newer than its membership."""
        admitted = self._calls.state_of(client) is TargetState.ADMITTED
        # That it cannot open the key it says itself, in an answer that follows.
        if admitted and reason is not Reason.CANNOT_OPEN:
            self._calls.refuse(client, reason or Reason.NOT_A_MEMBER, Sayer.HUB)
        self._heard_of(client, MemberState.OUT, reason)

    def on_reply(self, reply: SessionReply) -> None:
        """Resync with the hub, after a new connect or where its pushes may have been lost."""
        if not reply.open:
            self.end(Reason.SESSION_CLOSED, Sayer.HUB)
            return
        for signed in reply.joined:
            try:
                self.on_joined(signed, read(signed, Joined))
            except Refused:
                # Known already, or of an epoch that is past.
                continue
        for departure in reply.departures:
            with suppress(Refused):
                self.on_departure(departure.kind, departure.statement, departure.client)
        for member in reply.members:
            if member.state is MemberState.OUT:
                self._on_out(member.client, member.reason)
                continue
            self._heard_of(member.client, member.state, None)
            if member.state is MemberState.SEATED and self._has_joined(member.client):
                self._calls.on_resume(member.client)
        self._wake.set()

    # -- running ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Handle answers, admit devices, and end what runs out of time, until the session ends."""
        while self._ended is None:
            await self._next()
            self._take_answers()
            for target in self._machine.on_time(self._context.now()):
                _log.info("target_ran_out", session=self.id[:8], peer=target.client[:8], reason=target.reason)
            self._calls.show()
            await self._calls.repeat()
            await self._calls.send()
            await self._admit()
            if self._context.now() >= self.ends_at:
                self.end(Reason.SESSION_CLOSED, Sayer.DEVICE)

    async def _next(self) -> None:
        """Wait until there is something to do."""
        deadline = min(filter(None, (self._machine.next_deadline(), self.ends_at)))
        try:
            async with asyncio.timeout(max(0, deadline - self._context.now()) / 1000):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    def _take_answers(self) -> None:
        while self._answers and self._accepted() < MAX_ADMITTED_AT_ONCE:
            signed = self._answers.popleft()
            try:
                target = self._machine.on_answer(signed, read(signed, Answer).sender, self._context.now())
            except Refused as refused:
                _log.info("answer_ignored", session=self.id[:8], reason=refused.reason)
                continue
            if target.state is TargetState.REFUSED:
                # It gave up its seat, if it had one: it says so itself, and the hub tells the other members.
                self._went_out(target.client, target.reason)
            if target.reason is Reason.CANNOT_OPEN:
                self._calls.on_cannot_open(target.client)

    def _accepted(self) -> int:
        return sum(target.state is TargetState.ACCEPTED for target in self._machine.targets.values())

    async def _admit(self) -> None:
        while self._ended is None:
            admitted = await self._admitting.step()
            self._calls.show()
            self._tell_members()
            if admitted is None:
                return
            if admitted:
                # The hub took the epoch, and so each member in it.
                self._denied.clear()
            for client in admitted:
                self._left.pop(client, None)
                target = self._machine.targets[client]
                if target.state is TargetState.REFUSED:
                    # It refused its admission before the hub's reply to ``admit`` was here.
                    self._left[client] = target.reason
            self._tell_members()
            await self._ask_for_departures()
            self._take_answers()

    async def _ask_for_departures(self) -> None:
        """Ask the hub why it denies members that the next epoch keeps: only their own statements take them out."""
        for client in self._machine.blocked:
            _log.info("epoch_waits", session=self.id[:8], peer=client[:8], reason=self._machine.blocked[client])
        if self._machine.blocked:
            with suppress(HubRefused, NoReply):
                self.on_reply(
                    await self._context.link.ask(GetSession(id=0, session=self.id, after=self.epoch), SessionReply)
                )

    # -- ending -------------------------------------------------------------------------------------------------------

    @override
    async def leave(self) -> None:
        await self.close()

    @override
    async def close(self) -> None:
        """End the session for all; raises ``HubRefused``, ``NoReply``."""
        await self._context.link.ask(CloseSession(id=0, session=self.id), Ok)
        self.end(None, Sayer.DEVICE)

    @override
    def end(self, reason: Reason | None, sayer: Sayer) -> None:
        super().end(reason, sayer)
        self._wake.set()
