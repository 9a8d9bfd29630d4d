"""Epochs: who is in a session, statement by statement (SPEC.md section 8)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from muster_protocol.decision import must_trust_each_other
from muster_protocol.errors import Refused
from muster_protocol.frames import MAX_MEMBERS, SessionKind
from muster_protocol.ids import ClientId, Fingerprint, Hash, SessionId, TimeMs
from muster_protocol.keys import PublicKey
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.sealing import EpochKey, commitment
from muster_protocol.signed import Body, Signed, statement_hash, verify

MAX_EPOCH = 65_535
MAX_CAUSES = 2 * MAX_MEMBERS


class CauseKind(StrEnum):
    """Why an epoch differs from the one before: the kind of statement whose hash stands beside it."""

    ANSWER = "answer"
    LEAVE = "leave"
    REMOVE = "remove"
    UNTRUST = "untrust"
    ROTATION = "rotation"
    DEVICE_REVOCATION = "device_revocation"
    ADMISSION = "admission"
    """The hash of an admission that no ``joined`` followed in time."""


class Cause(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One change of members and the statement that caused it."""

    kind: CauseKind
    client: ClientId
    statement: Hash


class EpochMember(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A member and the key that it signs with in this epoch."""

    client: ClientId
    key: Fingerprint


class Epoch(Body, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """The members of a session from one change to the next, most senior first: the same bytes for all."""

    KIND: ClassVar[Kind] = Kind.EPOCH

    session: SessionId
    number: Annotated[int, Meta(ge=1, le=MAX_EPOCH)]
    previous: Hash | None
    members: Annotated[tuple[EpochMember, ...], Meta(min_length=1, max_length=MAX_MEMBERS)]
    commitment: Hash
    causes: Annotated[tuple[Cause, ...], Meta(max_length=MAX_CAUSES)]
    at: TimeMs

    @property
    def clients(self) -> tuple[ClientId, ...]:
        """The members' names in order of seniority."""
        return tuple(seat.client for seat in self.members)

    def key_of(self, client: ClientId) -> Fingerprint | None:
        """Return the fingerprint that ``client`` signs with here, or None if it is no member."""
        return next((seat.key for seat in self.members if seat.client == client), None)

    def check(self) -> None:
        """Raise ``Refused(malformed)`` for a member named twice, or a first epoch that is not one."""
        if len(set(self.clients)) != len(self.members):
            raise Refused(Reason.MALFORMED, "a member is named twice")
        if (self.number == 1) != (self.previous is None):
            raise Refused(Reason.MALFORMED, "only the first epoch follows none")


@dataclass(frozen=True, slots=True)
class KnownEpoch:
    """An epoch that this device accepted, by its bytes' hash."""

    epoch: Epoch
    signed: Signed
    hash: Hash


def epoch_hash(signed: Signed) -> Hash:
    """Return the hash that names an epoch."""
    return statement_hash(Kind.EPOCH, signed.body)


def read_epoch(signed: Signed, signer: PublicKey) -> KnownEpoch:
    """Verify an epoch by the key of its signer; raises what ``verify`` and ``Epoch.check`` raise."""
    epoch = verify(signed, signer, Epoch)
    epoch.check()
    return KnownEpoch(epoch, signed, epoch_hash(signed))


def check_key(epoch: Epoch, key: EpochKey) -> None:
    """Raise ``Refused(mismatch)`` for a key that is not the one that the epoch commits to."""
    if commitment(epoch.session, epoch.number, key) != epoch.commitment:
        raise Refused(Reason.MISMATCH, "not the key of this epoch")


def check_pins(
    epoch: Epoch, kind: SessionKind, creator: ClientId, me: ClientId, pins: Mapping[ClientId, Fingerprint]
) -> None:
    """Compare an epoch's members with this device's own pins: all in a mesh, the creator's in a star.

    Raises ``Refused``: ``not_trusted`` or ``key_mismatch``.
    """
    for seat in epoch.members:
        if seat.client == me or not must_trust_each_other(kind, creator, me, seat.client):
            continue
        pin = pins.get(seat.client)
        if pin is None:
            raise Refused(Reason.NOT_TRUSTED, "a member of the session")
        if pin != seat.key:
            raise Refused(Reason.KEY_MISMATCH, "a member of the session")


def check_follows(new: KnownEpoch, known: KnownEpoch, creator: ClientId, causes: frozenset[Cause]) -> None:
    """Check that ``new`` may come after ``known``; ``causes`` are those that this device saw and verified.

    Raises ``Refused``: ``epoch_forked`` for another epoch of the same number, ``replayed`` for an older or the same
    one, ``mismatch`` for one that does not follow, ``not_a_member`` for a change that its signer may not make.
    """
    if new.epoch.number <= known.epoch.number:
        same_number = new.epoch.number == known.epoch.number
        raise Refused(Reason.EPOCH_FORKED if same_number and new.hash != known.hash else Reason.REPLAYED)
    if new.epoch.session != known.epoch.session or new.epoch.previous != known.hash:
        raise Refused(Reason.MISMATCH, "does not follow the epoch before it")
    if new.signed.signer not in {seat.key for seat in known.epoch.members}:
        raise Refused(Reason.NOT_A_MEMBER, "made by a stranger")
    _check_changes(new, known, creator, causes)


def _check_changes(new: KnownEpoch, known: KnownEpoch, creator: ClientId, causes: frozenset[Cause]) -> None:
    before = {seat.client: seat.key for seat in known.epoch.members}
    after = {seat.client: seat.key for seat in new.epoch.members}
    by_creator = new.signed.signer == before.get(creator)
    if (after.keys() - before.keys()) and not by_creator:
        raise Refused(Reason.NOT_A_MEMBER, "only the creator adds")
    # The creator's signature on the epoch is its word for taking a member out; anybody else needs the member's own.
    caused = {cause.client for cause in new.epoch.causes if cause in causes}
    if not by_creator and not before.keys() - after.keys() <= caused:
        raise Refused(Reason.NOT_A_MEMBER, "a member was taken out without a cause")
    kept = [seat.client for seat in known.epoch.members if seat.client in after]
    if list(new.epoch.clients[: len(kept)]) != kept:
        raise Refused(Reason.MISMATCH, "seniority changed")
    if any(after[client] != before[client] for client in kept) and not by_creator:
        raise Refused(Reason.NOT_A_MEMBER, "only the creator changes a member's key")
