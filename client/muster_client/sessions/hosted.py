"""A session that this device made: it calls, admits and hears who joined (SPEC.md section 7)."""

import asyncio
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence

import structlog
from typing_extensions import override

from muster_client.device.session_request import SessionRequest
from muster_client.errors import HubRefused, HubUnreachable, Obstacle
from muster_client.events import Progress, Target, TargetChanged
from muster_client.sessions.context import SessionContext, fresh_epoch_key
from muster_client.sessions.session import Session
from muster_protocol.calls import Admissions, TargetState
from muster_protocol.errors import Refused
from muster_protocol.exchange import DEFAULT_INVITE_MS, Answer, Joined, Leave
from muster_protocol.frames import (
    Admit,
    Admitted,
    CancelInvite,
    CloseSession,
    InviteResults,
    InviteUpdatePush,
    MemberState,
    Ok,
    Purpose,
    SealedFor,
    SendInvites,
    SessionReply,
    SessionUpdatePush,
)
from muster_protocol.ids import ClientId, InviteId, TimeMs
from muster_protocol.inviting import Inviting
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.signed import Signed, read

MAX_ADMITTED_AT_ONCE = 8
"""Newcomers in one epoch: their admissions fit into one message with room to spare."""
MAX_WAITING_ANSWERS = 64

_log = structlog.get_logger("muster.session")

_PROGRESS = {
    TargetState.CALLED: Progress.CALLED,
    TargetState.ACCEPTED: Progress.ACCEPTED,
    TargetState.ADMITTED: Progress.ACCEPTED,
    TargetState.JOINED: Progress.JOINED,
    TargetState.REFUSED: Progress.REFUSED,
}


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
        )
        self.created_at = created_at
        self.ends_at = TimeMs(created_at + lasts_ms)
        self._machine = machine
        self._wake = asyncio.Event()
        self._answers: deque[Signed] = deque(maxlen=MAX_WAITING_ANSWERS)
        self._unsent: dict[ClientId, Signed] = {}
        self._admitting: Admissions | None = None
        self._invites: dict[ClientId, InviteId] = {}
        self._purposes: dict[ClientId, Purpose] = {}
        self._delivered: set[ClientId] = set()
        self._again: set[ClientId] = set()
        self._retried: set[ClientId] = set()
        self._called_s: dict[ClientId, float] = {}

    @override
    def _has_joined(self, member: ClientId) -> bool:
        return self._state_of(member) is TargetState.JOINED

    def begun(self) -> None:
        """Tell that the session exists, with its creator in it."""
        self._tell_joined()
        self._tell_members()

    # -- calling ------------------------------------------------------------------------------------------------------

    @override
    async def invite(self, targets: Sequence[ClientId], *, purpose: Purpose = Purpose.AUTO) -> None:
        """Call devices. What stands in the way of one is told as its refusal, and keeps nobody else back."""
        for client in targets:
            self._purposes[client] = purpose
            self._called_s[client] = time.monotonic()
        members = tuple(client for client in self._known.epoch.clients if client != self.creator)
        request = SessionRequest(tuple(targets), self.mode, self.profile, self.kind, purpose)
        async with asyncio.TaskGroup() as group:
            for client in targets:
                group.create_task(self._prepare(client, request, members))
        await self._send_invites()

    async def _prepare(self, client: ClientId, request: SessionRequest, members: Sequence[ClientId]) -> None:
        """Make the invite to one device, or say why there is none."""
        device, standing = self._context.device, self._context.link.standing
        reason = device.decide_outgoing(request, client, standing, members).reason
        if reason is not None:
            self._refuse(client, reason, Sayer.DEVICE)
            return
        try:
            key = await self._context.key_of(client)
        except HubUnreachable:
            self._refuse(client, Reason.NO_ANSWER, Sayer.DEVICE)
            return
        if isinstance(key, Obstacle):
            self._refuse(client, key.reason, key.sayer)
            return
        now = self._context.now()
        invite = InviteId(os.urandom(16))
        expires_at = TimeMs(now + DEFAULT_INVITE_MS)
        self._delivered.discard(client)
        self._unsent[client] = self._machine.invite(
            client, key, invite=invite, purpose=request.purpose, expires_at=expires_at, now=now
        )
        self._invites[client] = invite
        self._show_targets()

    async def _send_invites(self) -> None:
        """Send what was not sent, or whose fate is not known; after a lost connection ``run`` sends it again."""
        sending = dict(self._unsent)
        if not sending:
            return
        try:
            request = SendInvites(id=0, session=self.id, invites=tuple(sending.values()))
            results = (await self._context.link.ask(request, InviteResults)).results
        except HubUnreachable:
            return
        except HubRefused as refused:
            results = ()
            for client in sending:
                self._refuse(client, refused.reason, Sayer.HUB)
        for client, signed in sending.items():
            if self._unsent.get(client) is signed:
                del self._unsent[client]
        for result in results:
            if result.client not in sending:
                continue
            if result.reason is None:
                self._delivered.add(result.client)
            else:
                self._refuse(result.client, result.reason, Sayer.HUB)
        self._show_targets()
        self._wake.set()

    def _refuse(self, client: ClientId, reason: Reason, sayer: Sayer) -> None:
        if not self._has_joined(client):
            self._machine.refuse(client, reason, sayer)
            self._unsent.pop(client, None)
            self._show_targets()

    @override
    async def cancel(self) -> None:
        """Withdraw the invites that are open; the devices that joined stay."""
        for client, target in list(self._machine.targets.items()):
            if target.state is TargetState.CALLED:
                self._refuse(client, Reason.CANCELLED, Sayer.DEVICE)
                await self._withdraw(client)

    async def _withdraw(self, client: ClientId) -> None:
        request = CancelInvite(id=0, session=self.id, client=client, invite=self._invites[client])
        try:
            await self._context.link.ask(request, Ok)
        except (HubRefused, HubUnreachable) as error:
            # It ends at the hub by its time; an answer to it is refused here, since it is live no longer.
            _log.info("invite_not_withdrawn", session=self.id[:8], cause=str(error))

    # -- hearing ------------------------------------------------------------------------------------------------------

    def on_answer(self, signed: Signed) -> None:
        """Take an answer in; ``run`` handles it."""
        self._answers.append(signed)
        self._wake.set()

    def on_joined(self, signed: Signed, joined: Joined) -> None:
        """Take a member's ``joined``; raises ``Refused``."""
        self._machine.on_joined(signed, joined.member)
        self._retried.discard(joined.member)
        self._show_targets()
        self._tell_members()

    def on_leave(self, signed: Signed, leave: Leave) -> None:
        """Take a member's ``leave``: the next epoch is without it. Raises ``Refused``."""
        self._machine.on_leave(signed, leave.member)
        self._went_out(leave.member, None)

    def on_invite_update(self, push: InviteUpdatePush) -> None:
        """Hear from the hub that an invite is over."""
        if self._invites.get(push.client) == push.invite:
            self._refuse(push.client, push.reason, Sayer.HUB)

    def on_update(self, push: SessionUpdatePush) -> None:
        """Hear the hub's word on the session or a member."""
        if push.state == "closed" or push.client == self.creator:
            self.end(push.reason or Reason.SESSION_CLOSED, Sayer.HUB)
        elif push.client is not None and push.state == "resume":
            self._call_again(push.client)
        elif push.client is not None and push.state == MemberState.OUT:
            self._on_out(push.client, push.reason)

    def _on_out(self, client: ClientId, reason: Reason | None) -> None:
        """Hear that the hub took a device out of its seat. That ends no call that is newer than the seat."""
        admitted = self._state_of(client) is TargetState.ADMITTED
        # That it cannot open the key it says itself, in an answer that follows.
        if admitted and reason is not Reason.CANNOT_OPEN:
            self._refuse(client, reason or Reason.NOT_A_MEMBER, Sayer.HUB)
        self._went_out(client, reason)

    def _state_of(self, client: ClientId) -> TargetState | None:
        target = self._machine.targets.get(client)
        return None if target is None else target.state

    def _call_again(self, client: ClientId) -> None:
        """Have ``run`` call a device again whose process lost the key, unless a call is under way.

        One whose admission is on its way to the hub counts as admitted: the hub's reply may only be behind this.
        """
        being_admitted = self._admitting is not None and client in dict(self._admitting.admissions)
        under_way = self._state_of(client) in {TargetState.CALLED, TargetState.ACCEPTED}
        if client in self._purposes and (being_admitted or not under_way):
            self._again.add(client)
            self._wake.set()

    def on_reply(self, reply: SessionReply) -> None:
        """Come in step with the hub, after a new connect or where its pushes may have been lost."""
        if not reply.open:
            self.end(Reason.SESSION_CLOSED, Sayer.HUB)
            return
        for signed in reply.joined:
            try:
                self.on_joined(signed, read(signed, Joined))
            except Refused:
                # Heard before, or of an epoch that is past.
                continue
        for member in reply.members:
            if member.state is MemberState.OUT:
                self._on_out(member.client, member.reason)
            elif member.state is MemberState.SEATED and self._has_joined(member.client):
                self._call_again(member.client)
        self._wake.set()

    # -- running ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Handle answers, admit, and end what runs out of time, until the session ends."""
        while self._ended is None:
            await self._next()
            self._take_answers()
            for target in self._machine.on_time(self._context.now()):
                _log.info("target_ran_out", session=self.id[:8], peer=target.client[:8], reason=target.reason)
            self._show_targets()
            again, self._again = self._again, set()
            for client in again:
                await self.invite((client,), purpose=self._purposes[client])
            await self._send_invites()
            await self._admit()
            if self._context.now() >= (self.ends_at or 0):
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
        while self._answers and len(self._accepted()) < MAX_ADMITTED_AT_ONCE:
            signed = self._answers.popleft()
            try:
                target = self._machine.on_answer(signed, read(signed, Answer).sender, self._context.now())
            except Refused as refused:
                _log.info("answer_ignored", session=self.id[:8], reason=refused.reason)
                continue
            self._on_cannot_open(target.client, target.reason)

    def _on_cannot_open(self, client: ClientId, reason: Reason | None) -> None:
        # Its process is new: it is called once more, and no more than that.
        if reason is Reason.CANNOT_OPEN and client not in self._retried:
            self._retried.add(client)
            self._call_again(client)

    def _accepted(self) -> list[ClientId]:
        return [one.client for one in self._machine.targets.values() if one.state is TargetState.ACCEPTED]

    async def _admit(self) -> None:
        """Have the hub commit whoever accepted. Where its reply is lost the same is sent again: that has one effect."""
        while self._ended is None:
            self._admitting = self._admitting or self._machine.admit(fresh_epoch_key(), self._context.now())
            if self._admitting is None:
                return
            try:
                rejected = await self._commit(self._admitting)
            except HubUnreachable:
                return
            if rejected:
                self._machine.rejected(rejected)
            else:
                self._machine.committed(self._context.now())
                for client, _ in self._admitting.admissions:
                    self._left.pop(client, None)
            self._admitting = None
            self._show_targets()
            self._tell_members()
            self._take_answers()

    async def _commit(self, new: Admissions) -> Mapping[ClientId, Reason]:
        request = Admit(
            id=0,
            session=self.id,
            epoch=new.epoch,
            sealed=tuple(SealedFor(client, sealed) for client, sealed in new.sealed),
            admissions=tuple(admission for _, admission in new.admissions),
        )
        newcomers = [client for client, _ in new.admissions]
        try:
            reply = await self._context.link.ask(request, Admitted)
        except HubRefused as refused:
            return dict.fromkeys(newcomers, refused.reason)
        named = {one.client: one.reason or Reason.JOIN_FAILED for one in reply.rejected}
        known = {*newcomers, *self._known.epoch.clients} - {self.creator}
        # Where the hub names nobody whom the next epoch could do without, the same would be refused for ever.
        return {client: reason for client, reason in named.items() if client in known} or dict.fromkeys(
            newcomers if named else (), next(iter(named.values()), Reason.JOIN_FAILED)
        )

    def _show_targets(self) -> None:
        """Tell how far each target is, where that changed."""
        for client, target in self._machine.targets.items():
            if client in self._again:
                # It is called once more at once: no end, and nothing to tell people.
                continue
            state = _PROGRESS[target.state]
            if state is Progress.CALLED and client in self._delivered:
                state = Progress.DELIVERED
            before = self._targets.get(client)
            if before is not None and (before.state, before.reason, before.sayer) == (
                state,
                target.reason,
                target.sayer,
            ):
                continue
            after_ms = round((time.monotonic() - self._called_s.get(client, time.monotonic())) * 1000)
            shown = Target(client=client, state=state, reason=target.reason, sayer=target.sayer, after_ms=after_ms)
            self._targets[client] = shown
            self._tell(TargetChanged(session=self.id, target=shown))

    # -- ending -------------------------------------------------------------------------------------------------------

    @override
    async def leave(self) -> None:
        await self.close()

    @override
    async def close(self) -> None:
        """End the session for all; raises ``HubRefused``, ``HubUnreachable``."""
        await self._context.link.ask(CloseSession(id=0, session=self.id), Ok)
        self.end(None, Sayer.DEVICE)

    @override
    def end(self, reason: Reason | None, sayer: Sayer) -> None:
        super().end(reason, sayer)
        self._wake.set()
