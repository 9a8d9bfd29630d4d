"""The creator's side of the four messages: a pure machine for one session (SPEC.md section 7).

Each call returns what to send. Time, nonces and fresh keys are arguments. The device's own store is asked at each act:
what it trusts and granted now decides which devices are invited, admitted and kept. An epoch that ``admit`` made counts
only once ``committed`` says that the hub has it: until then the old one stands, and ``rejected`` forgets the new, whose
number is never used again. Where
the reply is lost, ``again`` gives the same once more, for as long as this device would still make it; then ``shown``
takes what the hub shows of the session instead.

The hub evicts no member: one is left out by this device's own store, by the member's own statement, or because it was
admitted and its ``joined`` is missing. A member for which the hub refuses an epoch is ``blocked``, and the epoch waits.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from muster_protocol.calls import (
    FIRST_RETRY_MS,
    LONGEST_RETRY_MS,
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
from muster_protocol.departures import AdmittedMember, check_departure
from muster_protocol.epochs import EpochMember, KnownEpoch
from muster_protocol.errors import Refused
from muster_protocol.exchange import JOIN_DEADLINE_MS, Answer, Joined, check_answer, hash_of
from muster_protocol.frames import Purpose, SessionKind
from muster_protocol.ids import ClientId, Hash, InviteId, TimeMs
from muster_protocol.keys import PublicKey, SigningKey
from muster_protocol.labels import Kind
from muster_protocol.making import InviteTerms, make_admission, make_epoch, make_invite, seal_to_members
from muster_protocol.own_decision import Intent, OwnFacts, OwnStore, decide_outgoing, why_not_kept
from muster_protocol.reasons import REASONS, Reason, Sayer
from muster_protocol.recalls import Recalls
from muster_protocol.sealing import EpochKey, parse_receive_key
from muster_protocol.signed import Signed, verify


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
    # Devices that are to be in no later epoch, unless they are admitted (again).
    _out: set[ClientId] = field(default_factory=set)
    # Members kept that the hub named when it refused an epoch, and the time from which it is asked again.
    _blocked: dict[ClientId, Reason] = field(default_factory=dict)
    _recalls: Recalls = field(default_factory=Recalls)
    _retry_at: int = 0
    _retry_ms: int = FIRST_RETRY_MS
    _numbers: dict[Hash, int] = field(default_factory=dict)
    # Of the newest epoch that was signed. One that the hub refused may be at members all the same, so no other has its
    # number.
    _newest_number: int = 0
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
    def blocked(self) -> Mapping[ClientId, Reason]:
        """The members that the next epoch keeps and that the hub denies: it commits no epoch while there are any."""
        return {
            client: reason
            for client, reason in self._blocked.items()
            if client not in self._out and not self._waits(client)
        }

    def has_joined(self, client: ClientId) -> bool:
        """Return whether a device is a member whose ``joined`` for its admission came."""
        return client in self._members and self._members[client].has_joined

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
        self._pending = Pending(first, key, {}, frozenset(), {})
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
        reason = self._reason_against(self.own.facts(), self._intent(peer, purpose, self._others()), peer_key, now)
        if reason is not None:
            raise Refused(reason)
        terms = InviteTerms(invite, purpose, expires_at)
        signed, body = make_invite(self.key, self.plan, peer, peer_key.fingerprint, terms, now)
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
                self._live[sender] = replace(
                    live, answer_hash=answer_hash, version=version, answered_at=answer.at, receive_key=receive_key
                )
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
        """End the call of a device: its own refusal, the hub's, or this device's. One that has joined stays as it is.

        The hub's word ends no call that is over. No later epoch has a device that refused by its own word, or that was
        admitted and did not join. A member that was called again stays a member.
        """
        target = self._targets.get(client)
        if target is not None and self._is_over(target, sayer):
            return target
        if sayer is Sayer.PEER or (target is not None and target.state is TargetState.ADMITTED):
            self._out.add(client)
        return self._end_call(client, reason, sayer)

    def _is_over(self, target: CallTarget, sayer: Sayer) -> bool:
        """Return whether this word changes nothing in a call. The device itself may refuse to call one that left."""
        if target.state is TargetState.JOINED:
            return sayer is Sayer.HUB or target.client in self._others()
        return sayer is Sayer.HUB and target.state is TargetState.REFUSED

    def _end_call(self, client: ClientId, reason: Reason, sayer: Sayer) -> CallTarget:
        if sayer is not Sayer.HUB:
            self._ended_by_hub.pop(client, None)
        elif client in self._live:
            self._ended_by_hub[client] = self._live[client]
        self._live.pop(client, None)
        self._targets[client] = CallTarget(client, TargetState.REFUSED, reason=reason, sayer=sayer)
        return self._targets[client]

    def renew_recalls(self, client: ClientId) -> None:
        """Let the hub have a device called again as often as at first: this device's person calls it."""
        self._recalls.renew(client)

    def on_resume(self, client: ClientId) -> bool:
        """Take the hub's word that a member lost its key; return whether it is to be called again."""
        return self._may_recall(client) and self._recalls.want(client)

    def take_recalls(self, now: TimeMs) -> tuple[ClientId, ...]:
        """Return the members to call again now, on the hub's word; each is returned once."""
        return tuple(client for client in self._recalls.take_due(now) if self._may_recall(client))

    def _may_recall(self, client: ClientId) -> bool:
        """Return whether a device is a member that no call waits for, and that neither side's person refused.

        One whose admission is on its way counts as a member: the hub's reply may be behind its word.
        """
        if client in self.newcomers:
            return True
        target = self._targets.get(client)
        if target is None or client not in self._members or client in self._out:
            return False
        if target.state is TargetState.REFUSED:
            return target.sayer is Sayer.HUB or target.reason is Reason.NO_ANSWER
        return target.state in {TargetState.ADMITTED, TargetState.JOINED}

    def on_departure(self, kind: Kind, signed: Signed, sender: ClientId) -> None:
        """Take the statement by which a member goes: no later epoch has it, unless it is admitted again.

        Raises ``Refused``: ``not_a_member``, ``mismatch``, ``replayed``, ``bad_signature``, ``malformed``.
        """
        member = self._members.get(sender)
        if member is None:
            raise Refused(Reason.NOT_A_MEMBER)
        others = self._members.keys() - {sender} if self.plan.kind is SessionKind.MESH else set()
        trusts = frozenset({self.plan.creator, *others})
        check_departure(kind, signed, AdmittedMember(self.plan.session, sender, member.key, member.since, trusts))
        if not self._called_since(sender):
            self._live.pop(sender, None)
        self._out.add(sender)

    def _called_since(self, client: ClientId) -> bool:
        """Return whether a member is being called again: that call is newer than its membership."""
        return self._targets[client].state in {TargetState.CALLED, TargetState.ACCEPTED}

    def admit(self, key: EpochKey, now: TimeMs) -> Admissions | None:
        """Make one epoch for all that accepted; None where no device waits or an epoch is not committed yet.

        None also while a member is ``blocked``, until it is time to try again.

        This device's own store is asked now: an accepted device that it may not call any more is refused, and a member
        that it does not trust any more under that key is left out, both with this device's own reason.
        """
        if self._pending is not None or not any(self._waits(client) for client in self._live):
            return None
        waiting = self._judge(self.own.facts(), now)
        if not waiting or (self.blocked and now < self._retry_at):
            return None
        kept = {client: self._members[client] for client in self._others() if client not in waiting}
        keys = {client: member.key for client, member in kept.items()}
        keys |= {client: live.peer for client, live in waiting.items()}
        epoch = self._next_epoch([EpochMember(client, each.fingerprint) for client, each in keys.items()], key, now)
        signed = {client: make_admission(self.key, live, epoch, key, now) for client, live in waiting.items()}
        admissions = {
            client: PendingAdmission(hash_of(Kind.ADMISSION, each), waiting[client].answer_hash)
            for client, each in signed.items()
        }
        sent = Admissions(epoch.signed, seal_to_members(epoch, key, kept), tuple(signed.items()))
        self._pending = Pending(epoch, key, admissions, frozenset(kept), waiting, sent)
        return sent

    @property
    def newcomers(self) -> tuple[ClientId, ...]:
        """The devices that the epoch on its way to the hub admits; none where no epoch is on its way."""
        return () if self._pending is None else tuple(self._pending.admissions)

    def unanswered(self, now: TimeMs) -> None:
        """Have the hub asked once more about the pending epoch, after a while: its reply did not come."""
        if self._pending is not None:
            self._pending = replace(self._pending, again_at=TimeMs(now + self._retry_ms))
            self._retry_ms = min(2 * self._retry_ms, LONGEST_RETRY_MS)

    def again(self, now: TimeMs) -> Admissions | None:
        """Return the pending epoch once more; None where this device would not make it now.

        Then it is sent to no member: ``shown`` must tell whether the hub committed it when it was sent before.
        """
        pending = self._pending
        if pending is None or self._against(pending, now) or not self._unchanged(pending):
            return None
        return pending.sent

    def shown(self, epochs: Collection[Hash], now: TimeMs) -> None:
        """Take what the hub shows of the session behind the newest epoch: the pending one is committed or forgotten.

        Those in it that this device's own store speaks against are in no later epoch.
        """
        pending = self._pending
        if pending is None:
            return
        if pending.epoch.hash not in epochs:
            self.rejected({}, now)
            return
        against = self._against(pending, now)
        self.committed(now)
        for client, reason in against.items():
            self._out.add(client)
            self._end_call(client, reason, Sayer.DEVICE)

    def _against(self, pending: Pending, now: TimeMs) -> dict[ClientId, Reason]:
        """Return the reasons of this device's own store, now, against devices in the pending epoch."""
        own = self.own.facts()
        found: dict[ClientId, Reason] = {}
        kept = [member for member in pending.epoch.epoch.members if member.client in pending.kept]
        for member in kept:
            reason = why_not_kept(own, member.client, member.key)
            if reason is not None:
                found[member.client] = reason
        staying = [member.client for member in kept if member.client not in found]
        return found | self._against_newcomers(own, pending.newcomers, staying, now)

    def _unchanged(self, pending: Pending) -> bool:
        """Return whether the pending epoch still admits answers that count, and keeps no member that went since."""
        return self._out.isdisjoint(pending.kept) and all(
            self._is_answered_by(client, admission) for client, admission in pending.admissions.items()
        )

    def _is_answered_by(self, client: ClientId, admission: PendingAdmission) -> bool:
        live = self._live.get(client)
        return live is not None and live.answer_hash == admission.answer_hash

    def _judge(self, own: OwnFacts, now: TimeMs) -> dict[ClientId, Live]:
        """Refuse those that this device's own store speaks against, and return the accepted devices that remain."""
        for client in self._others():
            reason = why_not_kept(own, client, self._members[client].key.fingerprint)
            if reason is not None:
                self._out.add(client)
                if not self._waits(client):
                    self._end_call(client, reason, Sayer.DEVICE)
        waiting = {client: live for client, live in self._live.items() if self._waits(client)}
        against = self._against_newcomers(own, waiting, self._others(), now)
        for client, reason in against.items():
            self._end_call(client, reason, Sayer.DEVICE)
        return {client: live for client, live in waiting.items() if client not in against}

    def _against_newcomers(
        self, own: OwnFacts, newcomers: Mapping[ClientId, Live], members: Iterable[ClientId], now: TimeMs
    ) -> dict[ClientId, Reason]:
        """Return the reasons for which this device may not admit some of these devices together."""
        present, against = list(members), dict[ClientId, Reason]()
        for client, live in newcomers.items():
            reason = self._reason_against(own, self._intent(client, live.invite.purpose, present), live.peer, now)
            if reason is None:
                present.append(client)
            else:
                against[client] = reason
        return against

    def _intent(self, peer: ClientId, purpose: Purpose, members: Iterable[ClientId]) -> Intent:
        others = dict.fromkeys(client for client in members if client != peer)
        return Intent((peer,), tuple(others), self.plan.kind, self.plan.mode, self.plan.profile, purpose)

    @staticmethod
    def _reason_against(own: OwnFacts, intent: Intent, key: PublicKey, now: TimeMs) -> Reason | None:
        return decide_outgoing(own, intent, intent.targets[0], now, key=key.fingerprint).reason

    def _others(self) -> tuple[ClientId, ...]:
        """Return the members beside the creator that the next epoch keeps."""
        return tuple(client for client in self._members if client not in self._out)

    def _waits(self, client: ClientId) -> bool:
        return self._targets[client].state is TargetState.ACCEPTED

    def _next_epoch(self, others: Sequence[EpochMember], key: EpochKey, now: TimeMs) -> KnownEpoch:
        self._newest_number += 1
        members = (EpochMember(self.plan.creator, self.key.fingerprint), *others)
        return make_epoch(self.key, self.plan.session, self._newest_number, self._known, members, key, now)

    def committed(self, now: TimeMs) -> None:
        """Take the pending epoch as the newest: the hub has it. A device that it admits has 30 s to join."""
        if self._pending is None:
            return
        pending, self._pending = self._pending, None
        self._blocked, self._retry_ms = {}, FIRST_RETRY_MS
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
        live, admitted = self._live.get(client), pending.admissions[client]
        # Meanwhile it may have said that it cannot open, and have been called once more: that call goes on.
        if live is None or live.receive_key is None or live.answered_at is None:
            return
        if not self._is_answered_by(client, admitted):
            return
        self._out.discard(client)
        self._live[client] = replace(live, admission_hash=admitted.hash, epoch_hash=pending.epoch.hash)
        # Statements from an earlier membership no longer count.
        self._members[client] = CallMember(
            live.peer, live.receive_key, live.answered_at, pending.epoch.epoch.number - 1
        )
        self._targets[client] = CallTarget(client, TargetState.ADMITTED, TimeMs(now + JOIN_DEADLINE_MS))

    def rejected(self, reasons: Mapping[ClientId, Reason], now: TimeMs) -> None:
        """Forget the pending epoch: the hub refused it for those named. The others still wait to be admitted.

        The calls of newcomers named end. A member named stays one and is ``blocked``. If only others are named, the
        next epoch would be refused in the same way: the calls of all newcomers end.
        """
        if self._pending is None:
            return
        pending, self._pending = self._pending, None
        self._early.clear()
        self._blocked = {client: reason for client, reason in reasons.items() if client in pending.kept}
        denied = {client: reason for client, reason in reasons.items() if client in pending.admissions}
        if reasons and not self._blocked and not denied:
            denied = dict.fromkeys(pending.admissions, next(iter(reasons.values())))
        for client, reason in denied.items():
            live = self._live.get(client)
            if live is not None and live.answer_hash == pending.admissions[client].answer_hash:
                self._end_call(client, reason, Sayer.HUB)
        if self._blocked:
            self._retry_at = now + self._retry_ms
            self._retry_ms = min(2 * self._retry_ms, LONGEST_RETRY_MS)

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
        member = replace(member, receive_key=joined.receive_key, joined=number)
        if joined.admission is None:
            self._members[sender] = member
            return None
        self._members[sender] = replace(member, has_joined=True)
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
        waits = self._pending is None and any(self._waits(client) for client in self._live)
        if waits and self.blocked:
            deadlines.append(TimeMs(self._retry_at))
        if self._pending is not None and self._pending.again_at is not None:
            deadlines.append(self._pending.again_at)
        recall = self._recalls.next_deadline()
        if recall is not None:
            deadlines.append(recall)
        return min(deadlines, default=None)

    def on_time(self, now: TimeMs) -> tuple[CallTarget, ...]:
        """End what ran out by this device's clock: unanswered invites, and admissions that no ``joined`` followed."""
        due = [target for target in self._targets.values() if target.deadline is not None and target.deadline <= now]
        return tuple(self.refuse(target.client, _TOO_LATE[target.state], Sayer.DEVICE) for target in due)


_TOO_LATE = {TargetState.CALLED: Reason.NO_ANSWER, TargetState.ADMITTED: Reason.JOIN_FAILED}
