"""The called device's side of the four messages, and its life as a member: a pure machine (SPEC.md sections 7 and 8).

One machine is one membership: one invite, at most one answer that accepts, at most one admission. Time and fresh keys
are arguments. The device's own store is asked at each act: what it trusts and granted now decides what it joins.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from muster_protocol.attended import Attended
from muster_protocol.cards import ProtocolRange
from muster_protocol.epochs import (
    Epoch,
    KnownEpoch,
    check_follows,
    check_key,
    check_pins,
    read_epoch,
)
from muster_protocol.errors import Refused
from muster_protocol.exchange import (
    CLOCK_SKEW_MS,
    MAX_INVITE_MS,
    Admission,
    Answer,
    Invite,
    Joined,
    Leave,
    admission_info,
    check_admission,
    epoch_info,
    hash_of,
)
from muster_protocol.ids import ClientId, Fingerprint, Hash, TimeMs, session_id
from muster_protocol.keys import PublicKey, SigningKey
from muster_protocol.labels import Kind
from muster_protocol.own_decision import OwnFacts, OwnStore, decide_incoming
from muster_protocol.reasons import REASONS, Reason, Sayer
from muster_protocol.sealing import EpochKey, ReceiveKey
from muster_protocol.signed import Signed, sign, verify


@dataclass(frozen=True, slots=True)
class Received:
    """An invite to this device that verified: the word of a device that it pinned."""

    invite: Invite
    hash: Hash
    creator_key: PublicKey

    def check(self, my_key: Fingerprint, attended: Attended | None) -> None:
        """Check the rest of what the invite says. A device that finds a fault here refuses with that reason.

        ``attended``: what this device stored of the session, if it joined it before.

        Raises ``Refused``: ``key_mismatch`` (it names another key of this device), ``mismatch``, ``malformed``.
        """
        invite = self.invite
        if invite.recipient_key != my_key:
            raise Refused(Reason.KEY_MISMATCH, "this device's key")
        if invite.sender_key != self.creator_key.fingerprint or invite.sender == invite.recipient:
            raise Refused(Reason.MISMATCH, "names another sender")
        if invite.session != session_id(invite.sender, invite.seed):
            raise Refused(Reason.MISMATCH, "the session is not the sender's")
        if attended is not None:
            attended.check_invite(invite)
        if not 0 < invite.expires_at - invite.at <= MAX_INVITE_MS:
            raise Refused(Reason.MALFORMED, "an invite lives a day at most")

    def check_time(self, now: TimeMs, reached: TimeMs) -> None:
        """Check an invite's times, where the clocks of two devices may be ``CLOCK_SKEW_MS`` apart.

        A clock that went back counts as if it were at the time that it had ``reached`` (SPEC.md section 2.4).

        Raises ``Refused``: ``expired``; ``clock_ahead``, since it would have to be remembered for as long.
        """
        now = max(now, reached)
        if self.invite.at > now + CLOCK_SKEW_MS:
            raise Refused(Reason.CLOCK_AHEAD, "an invite")
        if now >= self.invite.expires_at + CLOCK_SKEW_MS:
            raise Refused(Reason.EXPIRED)


def verify_invite(signed: Signed, creator_key: PublicKey, me: ClientId) -> Received:
    """Verify an invite by the key that this device pinned for its sender. One that fails gets no answer.

    Raises ``Refused``: ``bad_signature``, ``mismatch`` (another signer), ``wrong_recipient``, ``malformed``,
    ``unsupported``.
    """
    invite = verify(signed, creator_key, Invite)
    if invite.recipient != me:
        raise Refused(Reason.WRONG_RECIPIENT)
    return Received(invite, hash_of(Kind.INVITE, signed), creator_key)


def read_invite(signed: Signed, creator_key: PublicKey, me: ClientId, my_key: Fingerprint) -> Received:
    """Verify an invite into a session that this device never joined, and check all that it says.

    Raises what ``verify_invite`` and ``Received.check`` raise.
    """
    received = verify_invite(signed, creator_key, me)
    received.check(my_key, None)
    return received


@dataclass(slots=True)
class Joining:
    """One invite, and the membership that may come of it."""

    key: SigningKey
    received: Received
    protocol: ProtocolRange
    own: OwnStore
    _answer: Signed | None = None
    _answer_hash: Hash | None = None
    _answered_at: TimeMs | None = None
    # At most two: the one that was sealed to last, and the one on offer. The creator goes on sealing to the former
    # until it has heard of the latter, however many epochs that takes, so a new one is offered only after that.
    _receive_keys: list[ReceiveKey] = field(default_factory=list)
    _known: KnownEpoch | None = None
    _epoch_key: EpochKey | None = None
    _admission: Hash | None = None

    @property
    def epoch(self) -> KnownEpoch:
        """The newest epoch that this member accepted; raises ``Refused(not_a_member)`` before its admission."""
        if self._known is None:
            raise Refused(Reason.NOT_A_MEMBER)
        return self._known

    @property
    def epoch_key(self) -> EpochKey:
        """The key of that epoch."""
        if self._epoch_key is None:
            raise Refused(Reason.NOT_A_MEMBER)
        return self._epoch_key

    @property
    def holds_key(self) -> bool:
        """Whether the key of that epoch is here: it is not after ``on_skipped``."""
        return self._epoch_key is not None

    @property
    def joined(self) -> bool:
        """Whether this device has opened a key of the session."""
        return self._known is not None

    @property
    def version(self) -> int | None:
        """The protocol version of this membership: the highest that both sides speak."""
        return self.received.invite.protocol.highest_common(self.protocol)

    @property
    def answer(self) -> Signed | None:
        """The answer that this device gave, to be sent again if the invite comes again."""
        return self._answer

    def accept(self, receive_key: ReceiveKey, now: TimeMs, at: TimeMs | None = None) -> Signed:
        """Answer yes with a fresh receive key. ``at`` dates the answer where the device's counter is not its clock.

        Raises ``Refused``: ``replayed``, ``incompatible_protocol``, ``expired``, ``clock_ahead``, what
        ``Received.check`` raises, or the reason for which this device may not accept.
        """
        self.received.check(self.key.fingerprint, self.own.attended(self.received.invite.session))
        own = self.own.facts()
        self.received.check_time(now, own.reached)
        if self._answer is not None:
            raise Refused(Reason.REPLAYED, "answered already")
        if self.version is None:
            raise Refused(Reason.INCOMPATIBLE_PROTOCOL)
        self._check_allowed(own, now)
        self._receive_keys = [receive_key]
        return self._reply(receive_key, None, now if at is None else at)

    def refuse(self, reason: Reason, at: TimeMs) -> Signed:
        """Answer no; raises ``Refused(malformed)`` for a reason that is not a device's to give."""
        if Sayer.PEER not in REASONS[reason].sayers:
            raise Refused(Reason.MALFORMED, "not a reason that a device gives")
        self._receive_keys = []
        return self._reply(None, reason, at)

    def _reply(self, receive_key: ReceiveKey | None, reason: Reason | None, at: TimeMs) -> Signed:
        invite = self.received.invite
        body = Answer(
            session=invite.session,
            invite=invite.invite,
            sender=invite.recipient,
            recipient=invite.sender,
            # The invite may name another key of this device: the refusal that says so is signed by the current one.
            sender_key=self.key.fingerprint,
            recipient_key=invite.sender_key,
            purpose=invite.purpose,
            mode=invite.mode,
            profile=invite.profile,
            protocol=self.protocol,
            at=at,
            invite_hash=self.received.hash,
            receive_key=None if receive_key is None else receive_key.public,
            reason=reason,
        )
        self._answered_at = at
        self._answer = sign(body, self.key)
        self._answer_hash = hash_of(Kind.ANSWER, self._answer)
        return self._answer

    def _check_allowed(self, own: OwnFacts, now: TimeMs) -> None:
        reason = decide_incoming(own, self.received.invite, now).reason
        if reason is not None:
            raise Refused(reason)

    def on_admission(self, signed: Signed, now: TimeMs) -> KnownEpoch:
        """Open the session: everything is checked before the key is taken, and nothing changes where it fails.

        Before it uses the key, the caller stores the session (``Attended``). Raises ``Refused``: ``bad_signature``,
        ``wrong_recipient``, ``mismatch``, ``replayed``, ``epoch_forked`` (not the epoch of its number that this device
        opened), ``not_trusted`` or ``key_mismatch`` (a member that this device does not pin so), the reason for which
        this device may not join any more, ``cannot_open`` (also where it is to an answer of an earlier process),
        ``malformed``, ``unsupported``.
        """
        if self._known is not None:
            raise Refused(Reason.REPLAYED)
        received = self.received
        admission = verify(signed, received.creator_key, Admission)
        check_admission(admission, received.invite, received.hash)
        # Only now: ``cannot_open`` is told to the creator and ends the invite, so no forged admission may cause it.
        if self._answer_hash != admission.answer_hash or not self._receive_keys:
            raise Refused(Reason.CANNOT_OPEN, "no receive key for the answer that it names")
        known = read_epoch(admission.epoch, received.creator_key)
        own = self.own.facts()
        self._check_attended(known)
        self._check_epoch(known.epoch, own.pins)
        self._check_allowed(own, now)
        info = admission_info(received.hash, admission.answer_hash, known.hash)
        epoch_key = self._receive_keys[0].open(admission.sealed, info)
        check_key(known.epoch, epoch_key)
        self._known, self._epoch_key = known, epoch_key
        self._admission = hash_of(Kind.ADMISSION, signed)
        return known

    def _check_attended(self, known: KnownEpoch) -> None:
        before = self.own.attended(self.received.invite.session)
        if before is not None:
            before.check_invite(self.received.invite)
            before.check_epoch(known)

    def _check_epoch(self, epoch: Epoch, pins: Mapping[ClientId, Fingerprint]) -> None:
        invite = self.received.invite
        if epoch.session != invite.session or epoch.key_of(invite.recipient) != self.key.fingerprint:
            raise Refused(Reason.MISMATCH, "an epoch of another session, or without this device")
        if epoch.key_of(invite.sender) != invite.sender_key:
            raise Refused(Reason.MISMATCH, "an epoch without its creator")
        check_pins(epoch, invite.kind, invite.sender, invite.recipient, pins)

    def check_members(self) -> None:
        """Raise ``Refused`` where this device's own pins speak, now, against the newest epoch that it accepted.

        ``not_trusted``, ``key_mismatch``; ``not_a_member`` before the admission.
        """
        self._check_epoch(self.epoch.epoch, self.own.facts().pins)

    def on_epoch(self, signed: Signed, sealed: bytes) -> KnownEpoch:
        """Move on to the next epoch, made by the creator; raises ``Refused`` and stays where it was.

        ``not_a_member`` before the admission, ``bad_signature``, ``mismatch`` (also for one that another key signed),
        ``epoch_forked``, ``replayed``, ``not_trusted``, ``key_mismatch``, ``cannot_open``, ``malformed``.
        """
        known = read_epoch(signed, self.received.creator_key)
        check_follows(known, self.epoch)
        self._check_epoch(known.epoch, self.own.facts().pins)
        used, epoch_key = self._open(sealed, epoch_info(known.hash, self.received.invite.recipient))
        check_key(known.epoch, epoch_key)
        self._known, self._epoch_key, self._admission = known, epoch_key, None
        # The creator knows this key now; an older one could only serve a thief.
        self._receive_keys = self._receive_keys[used:]
        return known

    def on_skipped(self, signed: Signed) -> None:
        """Follow an epoch whose key this member never got, because it was away when the next one came.

        Only the hash and the members move on; ``on_epoch`` must bring the key of the newest.
        """
        known = read_epoch(signed, self.received.creator_key)
        check_follows(known, self.epoch)
        self._known, self._epoch_key = known, None

    def _open(self, sealed: bytes, info: bytes) -> tuple[int, EpochKey]:
        for index, key in enumerate(self._receive_keys):
            try:
                return index, key.open(sealed, info)
            except Refused:
                continue
        raise Refused(Reason.CANNOT_OPEN)

    def joined_statement(self, fresh: ReceiveKey, now: TimeMs) -> Signed:
        """Announce to all members that this device holds the epoch's key, with the receive key for the next epoch.

        That is ``fresh``, unless the one on offer was not used yet. Raises ``Refused(not_a_member)`` where the epoch's
        key is not here: before the admission, and after ``on_skipped``.
        """
        if self._epoch_key is None:
            raise Refused(Reason.NOT_A_MEMBER)
        invite = self.received.invite
        if len(self._receive_keys) == 1:
            self._receive_keys.append(fresh)
        body = Joined(
            session=invite.session,
            member=invite.recipient,
            member_key=self.key.fingerprint,
            epoch=self.epoch.hash,
            admission=self._admission,
            receive_key=self._receive_keys[-1].public,
            at=now,
        )
        return sign(body, self.key)

    def leave(self, now: TimeMs) -> Signed:
        """End this membership.

        Never dated before the answer that began it, also where the clock went back since: the creator would take it for
        the end of an earlier membership.
        """
        invite = self.received.invite
        at = now if self._answered_at is None else max(now, self._answered_at)
        body = Leave(session=invite.session, member=invite.recipient, member_key=self.key.fingerprint, at=at)
        return sign(body, self.key)
