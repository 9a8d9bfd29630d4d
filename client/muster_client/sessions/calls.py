"""The calls of one session, as its creator makes them: each from the invite to the answer (SPEC.md section 7)."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from muster_client.device.session_request import SessionRequest
from muster_client.errors import HubRefused, NoReply, Obstacle
from muster_client.events import Progress, Target
from muster_client.sessions.context import SessionContext
from muster_protocol.calls import TargetState
from muster_protocol.errors import Refused
from muster_protocol.exchange import DEFAULT_INVITE_MS
from muster_protocol.frames import CancelInvite, InviteResult, InviteResults, InviteUpdatePush, Ok, Purpose, SendInvites
from muster_protocol.ids import RANDOM_ID_BYTES, ClientId, InviteId, TimeMs
from muster_protocol.inviting import Inviting
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.signed import Signed

_log = structlog.get_logger("muster.session")

_PROGRESS = {
    TargetState.CALLED: Progress.CALLED,
    TargetState.ACCEPTED: Progress.ACCEPTED,
    TargetState.ADMITTED: Progress.ACCEPTED,
    TargetState.JOINED: Progress.JOINED,
    TargetState.REFUSED: Progress.REFUSED,
}


class Calls:
    """Every device that this session called, and how far each call has come.

    ``on_target`` gets each change of a call; ``wake`` has the session's ``run`` look for work.
    """

    def __init__(
        self,
        context: SessionContext,
        machine: Inviting,
        *,
        on_target: Callable[[Target], None],
        wake: Callable[[], None],
    ) -> None:
        self._context = context
        self._machine = machine
        self._on_target = on_target
        self._wake = wake
        self.targets: dict[ClientId, Target] = {}
        """The called devices, as they were last shown."""
        self._unsent: dict[ClientId, Signed] = {}
        self._invites: dict[ClientId, InviteId] = {}
        self._purposes: dict[ClientId, Purpose] = {}
        self._delivered: set[ClientId] = set()
        self._again: set[ClientId] = set()
        self._repeated: set[ClientId] = set()
        self._called_s: dict[ClientId, float] = {}

    def state_of(self, client: ClientId) -> TargetState | None:
        """Return the state of a call, or None for a device that was not called."""
        target = self._machine.targets.get(client)
        return None if target is None else target.state

    # -- inviting -----------------------------------------------------------------------------------------------------

    async def invite(self, targets: Sequence[ClientId], purpose: Purpose) -> None:
        """Call devices. What prevents the call of one is shown as its refusal, and the others are called."""
        for client in targets:
            self._machine.renew_recalls(client)
        await self._call(targets, purpose)

    async def _call(self, targets: Sequence[ClientId], purpose: Purpose) -> None:
        for client in targets:
            self._purposes[client] = purpose
            self._called_s[client] = time.monotonic()
        plan = self._machine.plan
        request = SessionRequest(tuple(targets), plan.mode, plan.profile, plan.kind, purpose)
        async with asyncio.TaskGroup() as group:
            for client in targets:
                group.create_task(self._prepare(client, request))
        await self.send()

    async def _prepare(self, client: ClientId, request: SessionRequest) -> None:
        """Make the invite for one device, or refuse the call with the reason why there is none."""
        reason = await self._context.decided(client, lambda: self._decide(request, client))
        if reason is not None:
            self.refuse(client, reason, Sayer.DEVICE)
            return
        try:
            key = await self._context.key_of(client)
        except NoReply:
            self.refuse(client, Reason.NO_ANSWER, Sayer.DEVICE)
            return
        if isinstance(key, Obstacle):
            self.refuse(client, key.reason, key.sayer)
            return
        now = self._context.now()
        invite = InviteId(os.urandom(RANDOM_ID_BYTES))
        expires_at = TimeMs(now + DEFAULT_INVITE_MS)
        try:
            signed = self._machine.invite(
                client, key, invite=invite, purpose=request.purpose, expires_at=expires_at, now=now
            )
        except Refused as refused:
            # Trust or the grant ended while the peer's card was fetched.
            self.refuse(client, refused.reason, Sayer.DEVICE)
            return
        self._delivered.discard(client)
        self._unsent[client] = signed
        self._invites[client] = invite
        self.show()

    async def send(self) -> None:
        """Send the invites that the hub is not known to have; after a lost connection ``run`` sends them again.

        The call of a device that this one may not call any more is refused instead.
        """
        sending = dict(self._unsent)
        if not sending:
            return
        request = SendInvites(id=0, session=self._machine.plan.session, invites=tuple(sending.values()))
        try:
            reply = await self._context.link.ask(request, InviteResults, lambda: self._check(sending))
        except NoReply:
            return
        except Refused:
            await self.send()
            return
        except HubRefused as refused:
            results = tuple(InviteResult(client, refused.reason) for client in sending)
        else:
            results = reply.results
        self._sent(sending, results)

    def _check(self, sending: Iterable[ClientId]) -> None:
        """Refuse the calls that this device may not make any more, and raise ``Refused`` if there is one."""
        against = {client: reason for client in sending if (reason := self._against(client)) is not None}
        for client, reason in against.items():
            self.refuse(client, reason, Sayer.DEVICE)
        if against:
            raise Refused(next(iter(against.values())))

    def _sent(self, sending: Mapping[ClientId, Signed], results: Iterable[InviteResult]) -> None:
        for client, signed in sending.items():
            if self._unsent.get(client) is signed:
                del self._unsent[client]
        for result in results:
            if result.client not in sending:
                continue
            if result.reason is None:
                self._delivered.add(result.client)
            else:
                self.refuse(result.client, result.reason, Sayer.HUB)
        self.show()
        self._wake()

    def _against(self, client: ClientId) -> Reason | None:
        """Return why this device may not call another one now, by its own store, or None."""
        plan = self._machine.plan
        request = SessionRequest((client,), plan.mode, plan.profile, plan.kind, self._purposes[client])
        return self._decide(request, client)

    def _decide(self, request: SessionRequest, client: ClientId) -> Reason | None:
        members = tuple(one for one in self._machine.epoch.epoch.clients if one != self._machine.plan.creator)
        device, standing = self._context.device, self._context.link.standing
        return device.decide_outgoing(request, client, standing, members).reason

    # -- ending a call ------------------------------------------------------------------------------------------------

    def refuse(self, client: ClientId, reason: Reason, sayer: Sayer) -> None:
        """End a call with this reason, unless the device has joined."""
        self._machine.refuse(client, reason, sayer)
        self._unsent.pop(client, None)
        self.show()

    def on_invite_update(self, push: InviteUpdatePush) -> None:
        """End the call whose invite is over, by the hub's word."""
        if self._invites.get(push.client) == push.invite:
            self.refuse(push.client, push.reason, Sayer.HUB)

    async def cancel(self) -> None:
        """Withdraw the invites that are open."""
        for client, target in list(self._machine.targets.items()):
            if target.state is TargetState.CALLED:
                self.refuse(client, Reason.CANCELLED, Sayer.DEVICE)
                await self._withdraw(client)

    async def _withdraw(self, client: ClientId) -> None:
        session = self._machine.plan.session
        request = CancelInvite(id=0, session=session, client=client, invite=self._invites[client])
        try:
            await self._context.link.ask(request, Ok)
        except (HubRefused, NoReply) as error:
            # It ends at the hub by its time; an answer to it is refused here, since the call is over.
            _log.info("invite_not_withdrawn", session=session[:8], cause=str(error))

    # -- calling again ------------------------------------------------------------------------------------------------

    def on_resume(self, client: ClientId) -> None:
        """Have ``run`` call a member again whose process lost the key, by the hub's word, unless that was too often."""
        if self._machine.on_resume(client):
            self._wake()
        else:
            _log.info("resume_ignored", session=self._machine.plan.session[:8], peer=client[:8])

    def on_cannot_open(self, client: ClientId) -> None:
        """Call a device once more whose new process cannot open its admission, and no more than once until it joins."""
        if client not in self._repeated:
            self._repeated.add(client)
            self._again.add(client)
            self._wake()

    async def repeat(self) -> None:
        """Call again those whose process lost the key."""
        again, self._again = self._again.union(self._machine.take_recalls(self._context.now())), set()
        for client in again:
            await self._call((client,), self._purposes[client])

    def joined(self, client: ClientId) -> None:
        """Show that a device has joined; from now on it may be called once more again."""
        self._repeated.discard(client)
        self.show()

    # -- showing ------------------------------------------------------------------------------------------------------

    def show(self) -> None:
        """Pass on each call that has changed since it was last shown."""
        for client, target in self._machine.targets.items():
            # A device that is called again at once has not reached an end that people need to see.
            if client in self._again:
                continue
            state = _PROGRESS[target.state]
            if state is Progress.CALLED and client in self._delivered:
                state = Progress.DELIVERED
            shown = self.targets.get(client)
            # This device knows its standing from the hub alone.
            sayer = Sayer.HUB if target.reason is Reason.CLONE_SUSPECTED else target.sayer
            if shown is None or (shown.state, shown.reason, shown.sayer) != (state, target.reason, sayer):
                self._show(client, state, target.reason, sayer)

    def _show(self, client: ClientId, state: Progress, reason: Reason | None, sayer: Sayer | None) -> None:
        after_ms = round((time.monotonic() - self._called_s.get(client, time.monotonic())) * 1000)
        self.targets[client] = Target(client=client, state=state, reason=reason, sayer=sayer, after_ms=after_ms)
        self._on_target(self.targets[client])
