"""The answers to invites: by this device's grants, by its person, or none (SPEC.md section 7)."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import structlog

from muster_client.connection.tries import TURNED_AWAY
from muster_client.device.invites import ACCEPTED, ENDED, JOINED, KEPT_AFTER_MS, Remembered
from muster_client.errors import HubRefused, NoReply, NotTrusted, Obstacle
from muster_client.events import InboxEntry, InviteAnswered, Invited, InviteEnded
from muster_client.sessions.context import SessionContext, fresh_receive_key
from muster_client.sessions.joinings import Joinings
from muster_protocol.attended import Attended
from muster_protocol.errors import Refused
from muster_protocol.exchange import Admission, Answer, Invite
from muster_protocol.frames import Ok, Purpose, SendAnswer
from muster_protocol.ids import ClientId, InviteId, SessionId, TimeMs
from muster_protocol.joining import Joining, Received, verify_invite
from muster_protocol.reasons import REASONS, Reason, Sayer
from muster_protocol.signed import Signed, read

_UNANSWERED = frozenset(
    {
        Reason.BAD_SIGNATURE,
        Reason.WRONG_RECIPIENT,
        Reason.MISMATCH,
        Reason.REPLAYED,
        Reason.MALFORMED,
        Reason.UNSUPPORTED,
        Reason.TOO_LARGE,
    }
)
"""Reasons to refuse an admission that is not its creator's or says something else: it gets no answer."""

_log = structlog.get_logger("muster.invite")


class Asked(StrEnum):
    """What the agent does with an invite that asks this device's person."""

    ASK = "ask"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Policy:
    """How the agent answers invites, in addition to its grants."""

    asked: Asked = Asked.ASK
    """``ask``: the invite waits in the inbox; ``refuse``: it is declined at once."""
    auto: bool = True
    """False: every automatic invite is declined."""


class Answering:
    """The invites of one agent, and the answers of this process."""

    def __init__(self, context: SessionContext, policy: Policy) -> None:
        self._context = context
        self._policy = policy
        self._joinings = Joinings()
        self._full: set[ClientId] = set()

    # -- invites ------------------------------------------------------------------------------------------------------

    async def on_invite(self, signed: Signed) -> None:
        """Handle an invite, new or repeated; raises ``NoReply``. One that does not verify is ignored."""
        self.forget_unused()
        received = await self._verify(signed)
        if received is None:
            return
        invite = received.invite
        remembered = self._context.device.invites.get(invite.invite)
        if remembered is not None and remembered.hash != received.hash:
            # A yes to one invite is no yes to other bytes under its id.
            _log.info("invite_ignored", peer=invite.sender[:8], reason=Reason.REPLAYED)
            return
        given = self._joinings.get(invite.invite)
        if given is not None and given.answer is not None:
            await self._send(given.answer)
            return
        if remembered is not None and remembered.outcome in {JOINED, ENDED}:
            # It joined once, or the hub said that it is over. A device that lost the session comes back by a new one.
            _log.info("invite_ignored", peer=invite.sender[:8], reason=Reason.REPLAYED)
            return
        await self._decide(signed, received, remembered)

    async def _verify(self, signed: Signed) -> Received | None:
        device = self._context.device
        try:
            sender = read(signed, Invite).sender
            if sender not in device.peers.pins():
                _log.info("invite_ignored", reason=Reason.NOT_TRUSTED)
                return None
            key = await self._context.key_of(sender)
            if isinstance(key, Obstacle):
                _log.info("invite_ignored", peer=sender[:8], reason=key.reason)
                return None
            return verify_invite(signed, key, device.client)
        except Refused as refused:
            _log.info("invite_ignored", reason=refused.reason)
            return None

    async def _decide(self, signed: Signed, received: Received, remembered: Remembered | None) -> None:
        invite, fault = received.invite, self._fault(received)
        if fault is None:
            await self._context.decided(invite.sender, lambda: self._allowed(received))
        if remembered is not None and remembered.refused is not None:
            await self._answer(received, signed, remembered.refused)
        elif fault is not None:
            await self._answer(received, signed, fault)
        elif remembered is not None and remembered.outcome == ACCEPTED:
            # It was accepted in an earlier process, whose receive key is lost; so it is accepted again.
            await self._answer(received, signed, self._allowed(received))
        elif invite.purpose is Purpose.AUTO:
            await self._answer(received, signed, self._decide_automatic(received, signed))
        else:
            await self._ask_person(signed, received, known=remembered is not None)

    def _decide_automatic(self, received: Received, signed: Signed) -> Reason | None:
        """Decide on an automatic invite by own data; a one-time grant is spent on disk before the answer is sent."""
        if not self._policy.auto:
            return Reason.DECLINED
        version = received.invite.protocol.highest_common(self._context.device.settings.protocol)
        if version is None:
            return Reason.INCOMPATIBLE_PROTOCOL
        return self._context.device.spend(signed, received.invite, self._context.link.standing)

    def _fault(self, received: Received) -> Reason | None:
        """Return what is wrong with an invite that its sender signed, or None: its sender is told at once."""
        try:
            context, session = self._context, received.invite.session
            received.check(context.device.fingerprint, context.own.attended(session))
            received.check_time(context.now(), context.own.facts().reached)
        except Refused as refused:
            _log.info("invite_faulty", peer=received.invite.sender[:8], reason=refused.reason)
            return refused.reason
        return None

    def _allowed(self, received: Received) -> Reason | None:
        return self._context.device.decide_incoming(received.invite, self._context.link.standing).reason

    async def _ask_person(self, signed: Signed, received: Received, *, known: bool) -> None:
        invite, device = received.invite, self._context.device
        reason = self._allowed(received)
        if reason is None and self._policy.asked is Asked.REFUSE:
            reason = Reason.DECLINED
        if reason is None and not known and not device.invites.remember(signed, invite, None):
            reason = Reason.OVERLOADED
        if reason is not None:
            await self._answer(received, signed, reason)
        elif not known:
            remembered = device.invites.get(invite.invite)
            if remembered is not None:
                self._context.tell(Invited(invite=remembered.entry))

    # -- answers ------------------------------------------------------------------------------------------------------

    async def _answer(self, received: Received, signed: Signed, reason: Reason | None) -> None:
        """Answer an invite. The answer is stored first, so that another process of this device gives no other one."""
        invite = received.invite
        joining = self._joining(received)
        answer, said = self._reply(joining, reason)
        self._context.device.invites.remember(signed, invite, ACCEPTED if said is None else said)
        self._keep(joining, accepted=said is None)
        self._context.tell(
            InviteAnswered(
                creator=invite.sender, session=invite.session, mode=invite.mode, purpose=invite.purpose, reason=said
            )
        )
        await self._send(answer)

    def _keep(self, joining: Joining, *, accepted: bool) -> None:
        invite = joining.received.invite
        unused_until = TimeMs(self._context.now() + invite.lifetime_ms + KEPT_AFTER_MS)
        self._joinings.keep(invite.invite, joining, accepted=accepted, unused_until=unused_until)

    def forget_unused(self) -> None:
        """Destroy the receive keys of answers whose invites are forgotten by now and that no admission used."""
        self._joinings.drop_unused(self._context.now())

    def forget_ended(self, attended: Collection[InviteId]) -> None:
        """Destroy the keys of memberships that ended: of all that joined, besides those of these invites."""
        self._joinings.drop_joined(attended)

    async def _send(self, answer: Signed) -> None:
        """Send one answer at once and once: a push that is being handled waits for no room in an inbox."""
        body = read(answer, Answer)
        self._joinings.owe(body.invite)
        if body.recipient not in self._full:
            with suppress(NoReply):
                await self._try(answer)

    async def flush(self) -> None:
        """Send the answers that the hub is not known to have, each once; without a connection they wait for the next.

        Where a creator's inbox is full for now, its other answers wait too, and cost nothing.
        """
        self.forget_unused()
        self._full.clear()
        for answer in self._joinings.unsent():
            if read(answer, Answer).recipient in self._full or not self._joinings.owes(answer):
                continue
            try:
                await self._try(answer)
            except NoReply:
                return

    async def _try(self, answer: Signed) -> None:
        """Send an answer, or a no in place of a yes that this device would not give now; raises ``NoReply``."""
        try:
            await self._deliver(answer)
        except Refused as refused:
            taken_back = self._take_back(read(answer, Answer).invite, refused.reason)
            if taken_back is not None:
                await self._deliver(taken_back)

    async def _deliver(self, answer: Signed) -> None:
        """Send an answer; raises ``NoReply``, and ``Refused`` for a yes that this device would not give now."""
        body = read(answer, Answer)
        try:
            await self._context.link.ask(
                SendAnswer(id=0, answer=answer), Ok, lambda: self._check(body.invite), max_tries=1
            )
        except HubRefused as refused:
            _log.info("answer_refused", reason=refused.reason)
            if refused.reason in TURNED_AWAY:
                self._full.add(body.recipient)
                return
        self._joinings.sent(answer)

    def _check(self, invite: InviteId) -> None:
        joining = self._joinings.waiting(invite)
        reason = None if joining is None else self._allowed(joining.received)
        if reason is not None:
            raise Refused(reason)

    def _take_back(self, invite: InviteId, reason: Reason) -> Signed | None:
        """Refuse an invite that was accepted; return the answer that says so."""
        joining = self._joinings.waiting(invite)
        if joining is None:
            return None
        answer, said = self._refusal(joining.received, reason)
        self._joinings.owe(invite)
        self._context.device.invites.end(invite, said)
        return answer

    # -- the person ---------------------------------------------------------------------------------------------------

    def inbox(self) -> tuple[InboxEntry, ...]:
        """Return the invites that wait for the person."""
        return tuple(remembered.entry for remembered in self._context.device.invites.waiting())

    async def accept(self, named: str) -> InboxEntry:
        """Accept for the person; raises ``UnknownInvite``, and ``NotTrusted`` if it is no longer allowed."""
        remembered = self._context.device.invites.find(named)
        received = await self._verify(remembered.signed)
        # Trust may have ended while the invite waited.
        reason = Reason.NOT_TRUSTED if received is None else self._fault(received) or self._allowed(received)
        if received is None or reason is not None:
            raise NotTrusted([Obstacle(remembered.invite.sender, reason or Reason.NOT_TRUSTED, Sayer.DEVICE)])
        await self._say(remembered, received, None)
        return remembered.entry

    async def decline(self, named: str) -> InboxEntry:
        """Decline for the person; raises ``UnknownInvite``."""
        remembered = self._context.device.invites.find(named)
        received = await self._verify(remembered.signed)
        if received is None:
            self._context.device.invites.settle(remembered.invite.invite, Reason.DECLINED)
        else:
            await self._say(remembered, received, self._fault(received) or Reason.DECLINED)
        return remembered.entry

    async def _say(self, remembered: Remembered, received: Received, reason: Reason | None) -> None:
        if self._context.device.invites.settle(remembered.invite.invite, reason or ACCEPTED):
            await self._answer(received, remembered.signed, reason)

    def on_ended(self, invite: InviteId, reason: Reason) -> None:
        """End an invite that is over, by the hub's word: an answer to it opens nothing any more."""
        self._joinings.drop(invite)
        remembered = self._context.device.invites.get(invite)
        if remembered is not None and self._context.device.invites.end(invite, ENDED):
            entry = remembered.entry
            self._context.tell(InviteEnded(id=entry.id, number=entry.number, creator=entry.creator, reason=reason))

    # -- admissions ---------------------------------------------------------------------------------------------------

    def awaits(self, session: SessionId) -> bool:
        """Return whether an admission to this session may still come."""
        return self._joinings.awaits(session)

    async def on_admission(self, signed: Signed) -> Joining | None:
        """Open an admission and return the membership that it opened, or None.

        If it cannot be opened, an answer tells its creator. Raises ``NoReply``, and ``Refused(epoch_forked)`` where
        its creator signed another epoch in place of one that this device opened.
        """
        self.forget_unused()
        try:
            invite = read(signed, Admission).invite
        except Refused as refused:
            _log.info("admission_ignored", reason=refused.reason)
            return None
        joining = self._joinings.waiting(invite) or await self._lost(invite)
        if joining is None:
            return None
        try:
            joining.on_admission(signed, self._context.now())
            self._context.check_place(joining.received.invite)
        except Refused as refused:
            await self._on_bad_admission(joining.received, refused.reason)
            if refused.reason is Reason.EPOCH_FORKED:
                raise
            return None
        # On disk before the key is used, so that the same yes joins once, in a later process too.
        body = joining.received.invite
        self._context.attend(body.session, Attended.at(body, joining.epoch))
        self._context.device.invites.join(invite)
        return joining

    async def _lost(self, invite: InviteId) -> Joining | None:
        """Return the machine for an invite whose receive key is lost with an earlier process, or by its time.

        It opens nothing, and tells the creator that.
        """
        remembered = self._context.device.invites.get(invite)
        if remembered is None or remembered.outcome not in {ACCEPTED, Reason.EXPIRED}:
            return None
        received = await self._verify(remembered.signed)
        return None if received is None else self._joining(received)

    def _joining(self, received: Received) -> Joining:
        device = self._context.device
        return Joining(device.key, received, device.settings.protocol, self._context.own)

    async def _on_bad_admission(self, received: Received, reason: Reason) -> None:
        _log.info("admission_refused", reason=reason)
        if reason in _UNANSWERED:
            return
        # This process is new, or this device's own data speak against the session now: its creator learns why.
        answer, said = self._refusal(received, reason)
        await self._send(answer)
        # Only now: a process that ends before it has answered gets the admission again, and answers then.
        self._context.device.invites.end(received.invite.invite, said)

    def _refusal(self, received: Received, reason: Reason) -> tuple[Signed, Reason]:
        """Refuse in place of what was answered before, whose keys are destroyed; return the reason said too."""
        joining = self._joining(received)
        answer, said = self._reply(joining, reason)
        self._keep(joining, accepted=False)
        return answer, said or reason

    def _reply(self, joining: Joining, reason: Reason | None) -> tuple[Signed, Reason | None]:
        """Answer yes, or no with the reason given or that of this device's own decision; return the reason said too."""
        now, at = self._context.now(), self._context.device.date()
        if reason is None:
            try:
                return joining.accept(fresh_receive_key(), now, at), None
            except Refused as refused:
                reason = refused.reason
        said = reason if Sayer.PEER in REASONS[reason].sayers else Reason.DECLINED
        return joining.refuse(said, at), said
