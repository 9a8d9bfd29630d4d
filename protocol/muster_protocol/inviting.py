"""The creator's side of the four messages: a pure machine for one session (SPEC.md section 7).

Each call returns what to send. Time, nonces and fresh keys are arguments. The device's own store is asked at each act:
what it trusts and granted now decides which devices are invited, admitted and kept. An epoch that ``admit`` made counts
only once ``committed`` says that the hub has it: until then the old one stands, and ``rejected`` forgets the new.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from muster_protocol.calls import (
    Admissions,
    CallMember,
    CallTarget,
    Live,
    Pending,
    PendingAdmission,
    Plan,
    TargetState,
)
from muster_protocol.cards import ProtocolRange
from muster_protocol.epochs import Epoch, EpochMember, KnownEpoch, epoch_hash, in_order
from muster_protocol.errors import Refused
from muster_protocol.exchange import (
    JOIN_DEADLINE_MS,
    Admission,
    Answer,
    Invite,
    Joined,
    Leave,
    admission_info,
    check_answer,
    epoch_info,
    hash_of,
)
from muster_protocol.frames import Purpose
from muster_protocol.ids import ClientId, Hash, InviteId, TimeMs
from muster_protocol.keys import PublicKey, SigningKey
from muster_protocol.labels import Kind
from muster_protocol.own_decision import Intent, OwnFacts, OwnStore, decide_outgoing, why_not_kept
from muster_protocol.reasons import REASONS, Reason, Sayer
from muster_protocol.sealing import EpochKey, commitment, parse_receive_key, seal
from muster_protocol.signed import Signed, sign, verify


@dataclass(slots=True)
class Inviting:
    """One session as its creator runs it."""

    key: SigningKey
    plan: Plan
    own: OwnStore
    _live: dict[ClientId, Live] = field(default_factory=dict)
    # Calls that the hub ended by its word: the device's own word may follow, and replaces it.
    _ended_by_hub: dict[ClientId, Live] = field(default_factory=dict)
    _targets: dict[ClientId, CallTarget] = field(default_factory=dict)
    _members: dict[ClientId, CallMember] = field(default_factory=dict)
    # Members who are to be in no later epoch, unless they are admitted again.
    _out: set[ClientId] = field(default_factory=set)
    _numbers: dict[Hash, int] = field(default_factory=dict)
    _known: KnownEpoch | None = None
    _epoch_key: EpochKey | None = None
    _pending: Pending | None = None
    # What members of the pending epoch said of it: the hub's reply to ``admit`` may arrive later.
    _early: dict[ClientId, Signed] = field(default_factory=dict)

    @property
    def targets(self) -> Mapping[ClientId, CallTarget]:
        """Every device that was called, with its state."""
        return self._targets

    @property
    def epoch(self) -> KnownEpoch:
        """The newest committed epoch; raises ``Refused(session_closed)`` before the first."""
        if self._known is None:
            raise Refused(Reason.SESSION_CLOSED, "no epoch yet")
        return self._known

    @property
    def epoch_key(self) -> EpochKey:
        """The key of that epoch."""
        if self._epoch_key is None:
            raise Refused(Reason.SESSION_CLOSED, "no epoch yet")
        return self._epoch_key

    def begin(self, key: EpochKey, now: TimeMs) -> Signed:
        """Make epoch 1, with the creator alone in it; ``committed`` makes it count."""
        first = self._next_epoch((), key, now)
        self._pending = Pending(first, key, {})
        return first.signed

    def invite(
        self,
        peer: ClientId,
        peer_key: PublicKey,
        *,
        invite: InviteId,
        purpose: Purpose,
        expires_at: TimeMs,
        now: TimeMs,
    ) -> Signed:
        """Call a device; an earlier invite to it is live no longer. ``peer_key`` is the key that this device pinned.

        Raises ``Refused`` with the reason for which this device may not call it now; nothing changes then.
        """
        others = tuple(client for client in self._others() if client != peer)
        reason = self._reason_against(self.own.facts(), self._intent(peer, others, purpose), peer_key, now)
        if reason is not None:
            raise Refused(reason)
        body = Invite(
            session=self.plan.session,
            invite=invite,
            sender=self.plan.creator,
            recipient=peer,
            sender_key=self.key.fingerprint,
            recipient_key=peer_key.fingerprint,
            purpose=purpose,
            mode=self.plan.mode,
            profile=self.plan.profile,
            protocol=self.plan.protocol,
            at=now,
            kind=self.plan.kind,
            seed=self.plan.seed,
            expires_at=expires_at,
        )
        signed = sign(body, self.key)
        self._live[peer] = Live(peer_key, body, hash_of(Kind.INVITE, signed))
        self._ended_by_hub.pop(peer, None)
        self._targets[peer] = CallTarget(peer, TargetState.CALLED, expires_at)
        return signed

    def on_answer(self, signed: Signed, sender: ClientId, now: TimeMs) -> CallTarget:
        """Take the first good answer to a live invite.

        Raises ``Refused``: ``mismatch`` where no live invite fits, ``expired`` by this device's clock, ``replayed`` for
        a second answer, ``bad_signature``, ``wrong_recipient``, ``malformed``. Nothing changes then.
        """
        live = self._live.get(sender) or self._ended_by_hub.get(sender)
        if live is None:
            raise Refused(Reason.MISMATCH, "no live invite")
        answer = verify(signed, live.peer, Answer)
        check_answer(answer, live.invite, live.invite_hash)
        match answer.receive_key, answer.reason:
            case None, Reason() as reason:
                return self._on_refusal(live, reason)
            case bytes() as receive_key, None:
                if sender not in self._live:
                    raise Refused(Reason.MISMATCH, "the hub ended this call")
                version = self._common_version(live, answer.protocol, now)
                parse_receive_key(receive_key)
                answer_hash = hash_of(Kind.ANSWER, signed)
                self._live[sender] = replace(live, answer_hash=answer_hash, version=version, receive_key=receive_key)
                self._targets[sender] = CallTarget(sender, TargetState.ACCEPTED)
                return self._targets[sender]
        raise Refused(Reason.MALFORMED, "an answer either accepts or refuses")

    def _on_refusal(self, live: Live, reason: Reason) -> CallTarget:
        if Sayer.PEER not in REASONS[reason].sayers:
            raise Refused(Reason.MALFORMED, "not a reason that a device gives")
        return self.refuse(live.invite.recipient, reason, Sayer.PEER)

    def _common_version(self, live: Live, protocol: ProtocolRange, now: TimeMs) -> int:
        """Return the version of the membership, if the answer is the first that accepts, and in time."""
        if live.answer_hash is not None:
            raise Refused(Reason.REPLAYED)
        if now >= live.invite.expires_at:
            raise Refused(Reason.EXPIRED)
        version = self.plan.protocol.highest_common(protocol)
        if version is None:
            raise Refused(Reason.INCOMPATIBLE_PROTOCOL)
        return version

    def refuse(self, client: ClientId, reason: Reason, sayer: Sayer) -> CallTarget:
        """End the call of a device: its own refusal, the hub's, or this device's. No later epoch has it, if one had."""
        live = self._live.pop(client, None)
        if sayer is not Sayer.HUB:
            self._ended_by_hub.pop(client, None)
        elif live is not None:
            self._ended_by_hub[client] = live
        if client in self._members:
            self._out.add(client)
        self._targets[client] = CallTarget(client, TargetState.REFUSED, reason=reason, sayer=sayer)
        return self._targets[client]

    def on_leave(self, signed: Signed, sender: ClientId) -> None:
        """Take a member's ``leave``: no later epoch has it.

        Raises ``Refused``: ``not_a_member``, ``mismatch``, ``bad_signature``, ``malformed``.
        """
        member = self._members.get(sender)
        if member is None:
            raise Refused(Reason.NOT_A_MEMBER)
        leave = verify(signed, member.key, Leave)
        if (leave.session, leave.member) != (self.plan.session, sender):
            raise Refused(Reason.MISMATCH, "leave names another member or session")
        self._live.pop(sender, None)
        self._out.add(sender)

    def admit(self, key: EpochKey, now: TimeMs) -> Admissions | None:
        """Make one epoch for all that accepted; None where no device waits or an epoch is not committed yet.

        This device's own store is asked now: an accepted device that it may not call any more is refused, and a member
        that it does not trust any more under that key is left out, both with this device's own reason.
        """
        if self._pending is not None or not any(self._waits(client) for client in self._live):
            return None
        waiting = self._judge(self.own.facts(), now)
        if not waiting:
            return None
        keys = {client: self._members[client].key for client in self._others() if client not in waiting}
        keys |= {client: live.peer for client, live in waiting.items()}
        epoch = self._next_epoch([EpochMember(client, each.fingerprint) for client, each in keys.items()], key, now)
        signed = {client: self._admission(live, epoch, key, now) for client, live in waiting.items()}
        admissions = {
            client: PendingAdmission(hash_of(Kind.ADMISSION, each), waiting[client].answer_hash)
            for client, each in signed.items()
        }
        self._pending = Pending(epoch, key, admissions)
        return Admissions(epoch.signed, self._seal_to_members(epoch, key, waiting), tuple(signed.items()))

    def _judge(self, own: OwnFacts, now: TimeMs) -> dict[ClientId, Live]:
        """Refuse those that this device's own store speaks against, and return the accepted devices that remain."""
        waiting = {client: live for client, live in self._live.items() if self._waits(client)}
        members = [client for client in self._others() if client not in waiting]
        for client in members:
            reason = why_not_kept(own, client, self._members[client].key.fingerprint)
            if reason is not None:
                self.refuse(client, reason, Sayer.DEVICE)
        allowed: dict[ClientId, Live] = {}
        for client, live in waiting.items():
            others = (*(member for member in members if member not in self._out), *allowed)
            reason = self._reason_against(own, self._intent(client, others, live.invite.purpose), live.peer, now)
            if reason is None:
                allowed[client] = live
            else:
                self.refuse(client, reason, Sayer.DEVICE)
        return allowed

    def _intent(self, peer: ClientId, others: tuple[ClientId, ...], purpose: Purpose) -> Intent:
        return Intent((peer,), others, self.plan.kind, self.plan.mode, self.plan.profile, purpose)

    @staticmethod
    def _reason_against(own: OwnFacts, intent: Intent, key: PublicKey, now: TimeMs) -> Reason | None:
        return decide_outgoing(own, intent, intent.targets[0], now, key=key.fingerprint).reason

    def _others(self) -> tuple[ClientId, ...]:
        """Return the members beside the creator that the next epoch keeps."""
        return tuple(client for client in self._members if client not in self._out)

    def _waits(self, client: ClientId) -> bool:
        return self._targets[client].state is TargetState.ACCEPTED

    def _next_epoch(self, others: Sequence[EpochMember], key: EpochKey, now: TimeMs) -> KnownEpoch:
        number = 1 if self._known is None else self._known.epoch.number + 1
        epoch = Epoch(
            session=self.plan.session,
            number=number,
            previous=None if self._known is None else self._known.hash,
            members=in_order((EpochMember(self.plan.creator, self.key.fingerprint), *others)),
            commitment=commitment(self.plan.session, number, key),
            at=now,
        )
        signed = sign(epoch, self.key)
        return KnownEpoch(epoch, signed, epoch_hash(signed))

    def _admission(self, live: Live, epoch: KnownEpoch, key: EpochKey, now: TimeMs) -> Signed:
        if live.answer_hash is None or live.receive_key is None:
            raise Refused(Reason.MISMATCH, "no answer yet")
        info = admission_info(live.invite_hash, live.answer_hash, epoch.hash)
        body = Admission(
            session=live.invite.session,
            invite=live.invite.invite,
            sender=live.invite.sender,
            recipient=live.invite.recipient,
            sender_key=live.invite.sender_key,
            recipient_key=live.invite.recipient_key,
            purpose=live.invite.purpose,
            mode=live.invite.mode,
            profile=live.invite.profile,
            protocol=live.invite.protocol,
            at=now,
            invite_hash=live.invite_hash,
            answer_hash=live.answer_hash,
            epoch=epoch.signed,
            sealed=seal(key, live.receive_key, info),
        )
        return sign(body, self.key)

    def _seal_to_members(
        self, epoch: KnownEpoch, key: EpochKey, waiting: Mapping[ClientId, Live]
    ) -> tuple[tuple[ClientId, bytes], ...]:
        return tuple(
            (client, seal(key, self._members[client].receive_key, epoch_info(epoch.hash, client)))
            for client in epoch.epoch.clients
            if client in self._members and client not in waiting
        )

    def committed(self, now: TimeMs) -> None:
        """Take the pending epoch as the newest: the hub has it. A device that it admits has 30 s to join."""
        if self._pending is None:
            return
        pending, self._pending = self._pending, None
        self._known, self._epoch_key = pending.epoch, pending.key
        self._numbers[pending.epoch.hash] = pending.epoch.epoch.number
        for client in self._members.keys() - set(pending.epoch.epoch.clients):
            del self._members[client]
            self._out.discard(client)
        for client in pending.admissions:
            self._admitted(client, pending, now)
        early, self._early = self._early, {}
        for sender, signed in early.items():
            with suppress(Refused):
                self.on_joined(signed, sender)

    def _admitted(self, client: ClientId, pending: Pending, now: TimeMs) -> None:
        live = self._live.get(client)
        # Meanwhile it may have said that it cannot open, and have been called once more: that call goes on.
        admitted = pending.admissions[client]
        if live is None or live.receive_key is None or live.answer_hash != admitted.answer_hash:
            return
        self._out.discard(client)
        self._live[client] = replace(live, admission_hash=admitted.hash, epoch_hash=pending.epoch.hash)
        # Statements from an earlier membership no longer count.
        self._members[client] = CallMember(live.peer, live.receive_key, pending.epoch.epoch.number - 1)
        self._targets[client] = CallTarget(client, TargetState.ADMITTED, TimeMs(now + JOIN_DEADLINE_MS))

    def rejected(self, reasons: Mapping[ClientId, Reason]) -> None:
        """Forget the pending epoch: the hub refused it for those named. The others still wait to be admitted.

        A hub that names a member denies it the session; the next epoch goes on without it.
        """
        self._pending = None
        self._early.clear()
        for client, reason in reasons.items():
            if client in self._live or client in self._members:
                self.refuse(client, reason, Sayer.HUB)

    def on_joined(self, signed: Signed, sender: ClientId) -> CallTarget | None:
        """Take a member's ``joined``: it holds the key of the epoch; None where it was a member before.

        One for the pending epoch is kept until ``committed``, and None. Raises ``Refused``: ``not_a_member``,
        ``mismatch``, ``replayed``, ``bad_signature``, ``malformed``.
        """
        joined = verify(signed, self._key_of(sender), Joined)
        if self._pending is not None and joined.epoch == self._pending.epoch.hash:
            self._early[sender] = signed
            return None
        member = self._members.get(sender)
        if member is None:
            raise Refused(Reason.NOT_A_MEMBER)
        parse_receive_key(joined.receive_key)
        number = self._check_joined(joined, sender, member)
        self._members[sender] = replace(member, receive_key=joined.receive_key, joined=number)
        if joined.admission is None:
            return None
        del self._live[sender]
        self._targets[sender] = CallTarget(sender, TargetState.JOINED)
        return self._targets[sender]

    def _key_of(self, sender: ClientId) -> PublicKey:
        """Return the key of a member, or of a device that the pending epoch admits."""
        if self._pending is not None and sender in self._pending.admissions and sender in self._live:
            return self._live[sender].peer
        member = self._members.get(sender)
        if member is None:
            raise Refused(Reason.NOT_A_MEMBER)
        return member.key

    def _check_joined(self, joined: Joined, sender: ClientId, member: CallMember) -> int:
        named = (joined.session, joined.member, joined.member_key)
        number = self._numbers.get(joined.epoch)
        if named != (self.plan.session, sender, member.key.fingerprint) or number is None:
            raise Refused(Reason.MISMATCH, "joined names another member, session or epoch")
        # An old `joined` said again would bring back a receive key that its member has dropped.
        if number <= member.joined:
            raise Refused(Reason.REPLAYED)
        live = self._live.get(sender)
        admitted = None if live is None else (live.admission_hash, live.epoch_hash)
        if joined.admission is not None and admitted != (joined.admission, joined.epoch):
            raise Refused(Reason.MISMATCH, "joined names another admission")
        return number

    def next_deadline(self) -> TimeMs | None:
        """Return the time at which ``on_time`` has something to do, or None."""
        deadlines = [target.deadline for target in self._targets.values() if target.deadline is not None]
        return min(deadlines, default=None)

    def on_time(self, now: TimeMs) -> tuple[CallTarget, ...]:
        """End what ran out by this device's clock: unanswered invites, and admissions that no ``joined`` followed."""
        due = [target for target in self._targets.values() if target.deadline is not None and target.deadline <= now]
        return tuple(self.refuse(target.client, _TOO_LATE[target.state], Sayer.DEVICE) for target in due)


_TOO_LATE = {TargetState.CALLED: Reason.NO_ANSWER, TargetState.ADMITTED: Reason.JOIN_FAILED}
