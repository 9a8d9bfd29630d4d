"""The creator's side of the four messages: a pure machine for one session (SPEC.md section 7).

Each call returns what to send. Time, nonces and fresh keys are arguments. The device's own store is asked at each act:
what it trusts and granted now decides which devices are invited, admitted and kept. ``target_calls`` keeps the calls,
``memberships`` the members; this module moves both along, and makes the epochs. An epoch that ``admit`` made counts
only once ``committed`` says that the hub has it: until then the old one stands, and ``rejected`` forgets the new, whose
number is never used again. Where the reply is lost, ``again`` gives the same once more, for as long as this device
would still make it; then ``shown`` takes what the hub shows of the session instead.

No word of the hub takes out a member: own store and the member's own statement do, and a missing ``joined`` after an
admission, which a hub can withhold. A member for which it refuses an epoch is ``blocked``, and the epoch waits.
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
from muster_protocol.epochs import EpochMember, KnownEpoch
from muster_protocol.errors import Refused
from muster_protocol.exchange import JOIN_DEADLINE_MS, Joined, hash_of
from muster_protocol.frames import Purpose
from muster_protocol.ids import ClientId, Hash, InviteId, TimeMs
from muster_protocol.keys import PublicKey, SigningKey
from muster_protocol.labels import Kind
from muster_protocol.making import InviteTerms, make_admission, make_epoch, make_invite, seal_to_members
from muster_protocol.memberships import Memberships
from muster_protocol.own_decision import Intent, OwnFacts, OwnStore, decide_outgoing, why_not_kept
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.recalls import Recalls
from muster_protocol.sealing import EpochKey
from muster_protocol.signed import Signed, verify
from muster_protocol.target_calls import TargetCalls


@dataclass(slots=True)
class Inviting:
    """One session as its creator runs it."""

    key: SigningKey
    plan: Plan
    own: OwnStore
    _calls: TargetCalls = field(default_factory=TargetCalls)
    _members: Memberships = field(default_factory=Memberships)
    # Members kept that the hub named when it refused an epoch, and the time from which it is asked again.
    _blocked: dict[ClientId, Reason] = field(default_factory=dict)
    _recalls: Recalls = field(default_factory=Recalls)
    _retry_at: int = 0
    _retry_ms: int = FIRST_RETRY_MS
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
        return self._calls.targets

    @property
    def blocked(self) -> Mapping[ClientId, Reason]:
        """The members that the next epoch keeps and that the hub denies: it commits no epoch while there are any."""
        return {
            client: reason
            for client, reason in self._blocked.items()
            if not self._members.is_left_out(client) and not self._calls.waits(client)
        }

    def has_joined(self, client: ClientId) -> bool:
        """Return whether a device is a member whose ``joined`` for its admission came."""
        member = self._members.members.get(client)
        return member is not None and member.has_joined

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
        intent = self._intent(peer, purpose, self._members.kept())
        own = self.own.facts()
        reason = self._reason_against(own, intent, peer_key, now)
        if reason is not None:
            raise Refused(reason)
        terms = InviteTerms(invite, purpose, expires_at)
        signed, body = make_invite(self.key, self.plan, peer, peer_key.fingerprint, terms, now)
        self._calls.begin(Live(peer_key, body, hash_of(Kind.INVITE, signed), trust=own.trust.get(peer)))
        return signed

    def on_answer(self, signed: Signed, sender: ClientId, now: TimeMs) -> CallTarget:
        """Take the first good answer to a live invite.

        Raises ``Refused``: ``mismatch`` where no live invite fits, ``expired`` by this device's clock, ``replayed`` for
        a second answer, ``bad_signature``, ``wrong_recipient``, ``malformed``. Nothing changes then.
        """
        reason = self._calls.on_answer(signed, sender, self.plan.protocol, now)
        return self._calls.targets[sender] if reason is None else self.refuse(sender, reason, Sayer.PEER)

    def refuse(self, client: ClientId, reason: Reason, sayer: Sayer) -> CallTarget:
        """End the call of a device: its own refusal, the hub's, or this device's. One that has joined stays as it is.

        The hub's word ends no call that is over. No later epoch has a device that refused by its own word, or that was
        admitted and did not join. A member that joined stays one also where its new call ends: the hub may have caused
        that call, and the member goes by its ``leave``.
        """
        target = self._calls.targets.get(client)
        if target is not None and self._is_over(target, sayer):
            return target
        joins = client in self.newcomers or not self.has_joined(client)
        if joins and (sayer is Sayer.PEER or (target is not None and target.state is TargetState.ADMITTED)):
            self._members.leave_out(client)
        return self._calls.end(client, reason, sayer)

    def _is_over(self, target: CallTarget, sayer: Sayer) -> bool:
        """Return whether this word changes nothing in a call. The device itself may refuse to call one that left."""
        if target.state is TargetState.JOINED:
            return sayer is Sayer.HUB or target.client in self._members.kept()
        return sayer is Sayer.HUB and target.state is TargetState.REFUSED

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
        target = self._calls.targets.get(client)
        if target is None or client not in self._members.kept():
            return False
        if target.state is TargetState.REFUSED:
            return target.sayer is Sayer.HUB or target.reason is Reason.NO_ANSWER
        return target.state in {TargetState.ADMITTED, TargetState.JOINED}

    def on_departure(self, kind: Kind, signed: Signed, sender: ClientId) -> None:
        """Take the statement by which a member goes: no later epoch has it, unless it is admitted again.

        Raises ``Refused``: ``not_a_member``, ``mismatch``, ``replayed``, ``bad_signature``, ``malformed``.
        """
        self._members.on_departure(self.plan, kind, signed, sender)
        self._calls.forget_seat(sender)

    def admit(self, key: EpochKey, now: TimeMs) -> Admissions | None:
        """Make one epoch for all that accepted; None where no device waits or an epoch is not committed yet.

        None also while a member is ``blocked``, until it is time to try again.

        This device's own store is asked now: an accepted device that it may not call any more is refused, and a member
        that it does not trust any more under that key is left out, both with this device's own reason.
        """
        if self._pending is not None or not self._calls.waiting():
            return None
        waiting = self._judge(self.own.facts(), now)
        if not waiting or (self.blocked and now < self._retry_at):
            return None
        kept = {client: member for client, member in self._members.kept().items() if client not in waiting}
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
            self._members.leave_out(client)
            self._calls.end(client, reason, Sayer.DEVICE)

    def _against(self, pending: Pending, now: TimeMs) -> dict[ClientId, Reason]:
        """Return the reasons of this device's own store, now, against devices in the pending epoch."""
        own = self.own.facts()
        found = self._not_kept(own, pending.kept)
        staying = [client for client in pending.epoch.epoch.clients if client in pending.kept and client not in found]
        return found | self._against_newcomers(own, pending.newcomers, staying, now)

    def _unchanged(self, pending: Pending) -> bool:
        """Return whether the pending epoch still admits answers that count, and keeps no member that went since."""
        return not any(self._members.is_left_out(client) for client in pending.kept) and all(
            self._calls.is_answered_by(client, admission) for client, admission in pending.admissions.items()
        )

    def _judge(self, own: OwnFacts, now: TimeMs) -> dict[ClientId, Live]:
        """Refuse those that this device's own store speaks against, and return the accepted devices that remain."""
        for client, reason in self._not_kept(own, self._members.kept()).items():
            self._members.leave_out(client)
            if not self._calls.waits(client):
                self._calls.end(client, reason, Sayer.DEVICE)
        waiting = self._calls.waiting()
        against = self._against_newcomers(own, waiting, self._members.kept(), now)
        for client, reason in against.items():
            self._calls.end(client, reason, Sayer.DEVICE)
        return {client: live for client, live in waiting.items() if client not in against}

    def _not_kept(self, own: OwnFacts, clients: Iterable[ClientId]) -> dict[ClientId, Reason]:
        members = {client: self._members.find(client) for client in clients}
        reasons = {client: why_not_kept(own, client, one.key.fingerprint, one.trust) for client, one in members.items()}
        return {client: reason for client, reason in reasons.items() if reason is not None}

    def _against_newcomers(
        self, own: OwnFacts, newcomers: Mapping[ClientId, Live], members: Iterable[ClientId], now: TimeMs
    ) -> dict[ClientId, Reason]:
        """Return the reasons for which this device may not admit some of these devices together."""
        present, against = list(members), dict[ClientId, Reason]()
        for client, live in newcomers.items():
            reason = self._reason_against(own, self._intent(client, live.invite.purpose, present), live.peer, now)
            reason = reason or why_not_kept(own, client, live.peer.fingerprint, live.trust)
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
        self._members.follow(pending.epoch)
        for client in pending.admissions:
            self._admitted(client, pending, now)
        early, self._early = self._early, {}
        for sender, signed in early.items():
            with suppress(Refused):
                self.on_joined(signed, sender)

    def _admitted(self, client: ClientId, pending: Pending, now: TimeMs) -> None:
        live, admitted = self._calls.live.get(client), pending.admissions[client]
        # Meanwhile it may have said that it cannot open, and have been called once more: that call goes on.
        if live is None or live.receive_key is None or live.answered_at is None:
            return
        if not self._calls.is_answered_by(client, admitted):
            return
        self._calls.admit(client, admitted.hash, pending.epoch.hash, TimeMs(now + JOIN_DEADLINE_MS))
        before = pending.epoch.epoch.number - 1
        self._members.admit(client, CallMember(live.peer, live.receive_key, live.answered_at, before, live.trust))

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
            if self._calls.is_answered_by(client, pending.admissions[client]):
                self._calls.end(client, reason, Sayer.HUB)
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
        self._members.on_joined(self.plan, joined, sender, self._calls.admitted(sender))
        return None if joined.admission is None else self._calls.join(sender)

    def _key_of(self, sender: ClientId) -> PublicKey:
        """Return the key of a member, or of a device that the pending epoch admits."""
        if self._pending is not None and sender in self._pending.admissions and sender in self._calls.live:
            return self._calls.live[sender].peer
        return self._members.find(sender).key

    def next_deadline(self) -> TimeMs | None:
        """Return the time at which ``on_time`` has something to do, or None."""
        deadlines = [self._calls.next_deadline(), self._recalls.next_deadline()]
        if self._pending is not None:
            deadlines.append(self._pending.again_at)
        elif self.blocked and self._calls.waiting():
            deadlines.append(TimeMs(self._retry_at))
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def on_time(self, now: TimeMs) -> tuple[CallTarget, ...]:
        """End what ran out by this device's clock: unanswered invites, and admissions that no ``joined`` followed."""
        due = self._calls.due(now)
        return tuple(self.refuse(target.client, _TOO_LATE[target.state], Sayer.DEVICE) for target in due)


_TOO_LATE = {TargetState.CALLED: Reason.NO_ANSWER, TargetState.ADMITTED: Reason.JOIN_FAILED}
