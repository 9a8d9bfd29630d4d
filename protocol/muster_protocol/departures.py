"""Departures: the statements by which a member itself goes out of a session (SPEC.md section 8.5).

The creator leaves a member out for one of these, and never because the hub alone says that it is gone.
"""

from dataclasses import dataclass

from muster_protocol.cards import verify_card
from muster_protocol.errors import Refused
from muster_protocol.exchange import Leave
from muster_protocol.governance import Untrust
from muster_protocol.ids import ClientId, SessionId, TimeMs
from muster_protocol.keys import PublicKey
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, verify


@dataclass(frozen=True, slots=True)
class AdmittedMember:
    """A member as the creator admitted it: ``since`` is the time in its answer, by the member's own clock.

    ``trusts``: the devices that it must trust to be a member.
    """

    session: SessionId
    client: ClientId
    key: PublicKey
    since: TimeMs
    trusts: frozenset[ClientId]


def check_departure(kind: Kind, signed: Signed, member: AdmittedMember) -> None:
    """Check that a statement ends this very membership.

    Raises ``Refused``: ``mismatch`` for a statement that says something else, ``replayed`` for one from before the
    member's answer, ``bad_signature``, ``malformed``.
    """
    match kind:
        case Kind.LEAVE:
            leave = verify(signed, member.key, Leave)
            named = (leave.session, leave.member, leave.member_key)
            if named != (member.session, member.client, member.key.fingerprint):
                raise Refused(Reason.MISMATCH, "leave names another member, key or session")
            _check_newer(leave.at, member)
        case Kind.UNTRUST:
            untrust = verify(signed, member.key, Untrust)
            if untrust.client != member.client or untrust.peer not in member.trusts:
                raise Refused(Reason.MISMATCH, "untrust of a device that the member need not trust here")
            # A serial is a time by the member's own clock, or higher.
            _check_newer(untrust.serial, member)
        case Kind.CARD:
            card = verify_card(signed)
            if card.card.client != member.client or member.key.fingerprint not in card.fingerprints[:-1]:
                raise Refused(Reason.MISMATCH, "a card that does not retire the member's key")
        case _:
            raise Refused(Reason.MISMATCH, "not a statement by which a member goes")


def _check_newer(at: int, member: AdmittedMember) -> None:
    if at < member.since:
        raise Refused(Reason.REPLAYED, "from before this membership")
