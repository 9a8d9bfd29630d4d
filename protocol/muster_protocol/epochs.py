"""Epochs: who is in a session, statement by statement (SPEC.md section 8)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
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


class EpochMember(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A member and the key that it signs with in this epoch."""

    client: ClientId
    key: Fingerprint


class Epoch(Body, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """The members of a session from one change to the next, in ascending order of their ClientIds.

    The session's creator signs it, and it is the same bytes for all.
    """

    KIND: ClassVar[Kind] = Kind.EPOCH

    session: SessionId
    number: Annotated[int, Meta(ge=1, le=MAX_EPOCH)]
    previous: Hash | None
    members: Annotated[tuple[EpochMember, ...], Meta(min_length=1, max_length=MAX_MEMBERS)]
    commitment: Hash
    at: TimeMs

    @property
    def clients(self) -> tuple[ClientId, ...]:
        """The members' names, in ascending order."""
        return tuple(member.client for member in self.members)

    def key_of(self, client: ClientId) -> Fingerprint | None:
        """Return the fingerprint that ``client`` signs with here, or None if it is no member."""
        return next((member.key for member in self.members if member.client == client), None)

    def check(self) -> None:
        """Raise ``Refused(malformed)`` for members named twice or out of order, or a ``previous`` that does not fit."""
        if not all(one < next_one for one, next_one in pairwise(self.clients)):
            raise Refused(Reason.MALFORMED, "the members are not in ascending order, each once")
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


def in_order(members: Iterable[EpochMember]) -> tuple[EpochMember, ...]:
    """Return the members in the order in which an epoch names them."""
    return tuple(sorted(members, key=lambda member: member.client))


def read_epoch(signed: Signed, creator_key: PublicKey) -> KnownEpoch:
    """Verify an epoch by the key of the session's creator; raises what ``verify`` and ``Epoch.check`` raise."""
    epoch = verify(signed, creator_key, Epoch)
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
    for member in epoch.members:
        if member.client == me or not must_trust_each_other(kind, creator, me, member.client):
            continue
        pin = pins.get(member.client)
        if pin is None:
            raise Refused(Reason.NOT_TRUSTED, "a member of the session")
        if pin != member.key:
            raise Refused(Reason.KEY_MISMATCH, "a member of the session")


def check_follows(new: KnownEpoch, known: KnownEpoch) -> None:
    """Check that ``new`` may come after ``known``; the creator's signature on both was verified before.

    It follows ``known``, or takes its place: then both have the same ``previous``, and the hub had told the creator
    that it did not commit ``known``. Raises ``Refused``: ``mismatch`` for one of another session, ``epoch_forked`` for
    another epoch of the same number, ``replayed`` for an older or the same one, ``mismatch`` for one that does not
    follow.
    """
    # First: numbers of two sessions say nothing about each other, and a creator has one epoch of a number in each.
    if new.epoch.session != known.epoch.session:
        raise Refused(Reason.MISMATCH, "of another session")
    if new.epoch.number <= known.epoch.number:
        same_number = new.epoch.number == known.epoch.number
        raise Refused(Reason.EPOCH_FORKED if same_number and new.hash != known.hash else Reason.REPLAYED)
    if new.epoch.previous not in {known.hash, known.epoch.previous}:
        raise Refused(Reason.MISMATCH, "does not follow the epoch before it")
