"""Requests of a stranger that name a device which it never invited, signed as the protocol wants them."""

import os

from tests.integration.hub.device import SigningDevice, now_ms
from tests.integration.hub.stage import Actor

from muster_protocol.cards import ProtocolRange
from muster_protocol.epochs import Epoch, EpochMember, epoch_hash, in_order
from muster_protocol.exchange import Admission
from muster_protocol.frames import Admit, CreateSession, Ok, Purpose
from muster_protocol.ids import Hash, InviteId, SessionId
from muster_protocol.sealing import EpochKey, ReceiveKey, seal
from muster_protocol.signed import Signed


async def session_of(stranger: Actor) -> CreateSession:
    """Let a stranger create a session of its own."""
    request = stranger.plan()
    await stranger.ask(request, Ok)
    return request


def epoch_of(
    stranger: Actor, session: SessionId, previous: Hash | None, *members: SigningDevice, number: int = 2
) -> Signed:
    """Return an epoch of these members that a stranger signed."""
    return stranger.device.sign(
        Epoch(
            session=session,
            number=number,
            previous=previous,
            members=in_order(EpochMember(each.client, each.fingerprint) for each in members),
            commitment=Hash(os.urandom(32)),
            at=now_ms(),
        )
    )


def admit(stranger: Actor, created: CreateSession, *targets: SigningDevice, purpose: Purpose = Purpose.AUTO) -> Admit:
    """Return the request that admits devices to a stranger's own new session."""
    epoch = epoch_of(stranger, created.session, epoch_hash(created.epoch), stranger.device, *targets)
    admissions = tuple(
        admission(stranger, created, epoch, each, purpose=purpose, invite=InviteId(os.urandom(16))) for each in targets
    )
    return Admit(id=1, session=created.session, epoch=epoch, sealed=(), admissions=admissions)


def admission(
    stranger: Actor, created: CreateSession, epoch: Signed, target: SigningDevice, *, purpose: Purpose, invite: InviteId
) -> Signed:
    """Return the admission of a device to an epoch of a stranger's own session."""
    return stranger.device.sign(
        Admission(
            session=created.session,
            invite=invite,
            sender=stranger.client,
            recipient=target.client,
            sender_key=stranger.device.fingerprint,
            recipient_key=target.fingerprint,
            purpose=purpose,
            mode=created.mode,
            profile=created.profile,
            protocol=ProtocolRange(1, 1),
            at=now_ms(),
            invite_hash=Hash(os.urandom(32)),
            answer_hash=Hash(os.urandom(32)),
            epoch=epoch,
            sealed=seal(EpochKey(os.urandom(32)), ReceiveKey.from_seed(os.urandom(96)).public, b""),
        )
    )
