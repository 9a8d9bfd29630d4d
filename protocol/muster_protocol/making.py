"""The statements that the creator of a session makes: invites, epochs and admissions (SPEC.md sections 7 and 8)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from muster_protocol.calls import CallMember, Live, Plan
from muster_protocol.epochs import Epoch, EpochMember, KnownEpoch, epoch_hash, in_order
from muster_protocol.errors import Refused
from muster_protocol.exchange import Admission, Invite, admission_info, epoch_info
from muster_protocol.frames import Purpose
from muster_protocol.ids import ClientId, Fingerprint, InviteId, SessionId, TimeMs
from muster_protocol.keys import SigningKey
from muster_protocol.reasons import Reason
from muster_protocol.sealing import EpochKey, commitment, seal
from muster_protocol.signed import Signed, sign


@dataclass(frozen=True, slots=True)
class InviteTerms:
    """What differs from one invite to the same device to the next."""

    invite: InviteId
    purpose: Purpose
    expires_at: TimeMs


def make_invite(  # noqa: PLR0917 - both sides, and what is offered
    signer: SigningKey, plan: Plan, peer: ClientId, peer_key: Fingerprint, terms: InviteTerms, now: TimeMs
) -> tuple[Signed, Invite]:
    """Return an invite into the session of ``plan``, signed, and its body."""
    body = Invite(
        session=plan.session,
        invite=terms.invite,
        sender=plan.creator,
        recipient=peer,
        sender_key=signer.fingerprint,
        recipient_key=peer_key,
        purpose=terms.purpose,
        mode=plan.mode,
        profile=plan.profile,
        protocol=plan.protocol,
        at=now,
        kind=plan.kind,
        seed=plan.seed,
        expires_at=terms.expires_at,
    )
    return sign(body, signer), body


def make_epoch(  # noqa: PLR0917 - the fields of an epoch
    signer: SigningKey,
    session: SessionId,
    number: int,
    known: KnownEpoch | None,
    members: Iterable[EpochMember],
    key: EpochKey,
    now: TimeMs,
) -> KnownEpoch:
    """Return the epoch of this number and these members that follows ``known``, or the first of the session."""
    epoch = Epoch(
        session=session,
        number=number,
        previous=None if known is None else known.hash,
        members=in_order(members),
        commitment=commitment(session, number, key),
        at=now,
    )
    signed = sign(epoch, signer)
    return KnownEpoch(epoch, signed, epoch_hash(signed))


def make_admission(signer: SigningKey, live: Live, epoch: KnownEpoch, key: EpochKey, now: TimeMs) -> Signed:
    """Return the admission that follows an answer; raises ``Refused(mismatch)`` for a call without one."""
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
    return sign(body, signer)


def seal_to_members(
    epoch: KnownEpoch, key: EpochKey, members: Mapping[ClientId, CallMember]
) -> tuple[tuple[ClientId, bytes], ...]:
    """Return the key of an epoch, sealed to each of these members."""
    return tuple(
        (client, seal(key, members[client].receive_key, epoch_info(epoch.hash, client)))
        for client in epoch.epoch.clients
        if client in members
    )
