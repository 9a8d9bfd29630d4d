"""Requests of a stranger that name a device which it never invited, signed as the protocol wants them."""

import os

from tests.integration.hub.device import SigningDevice, now_ms
from tests.integration.hub.stage import Actor

from muster_protocol.cards import ProtocolRange
from muster_protocol.epochs import Epoch, EpochMember, epoch_hash
from muster_protocol.exchange import Admission
from muster_protocol.frames import Admit, CreateSession, Ok, Purpose
from muster_protocol.ids import Hash, InviteId
from muster_protocol.sealing import EpochKey, ReceiveKey, seal


async def session_of(stranger: Actor) -> CreateSession:
    """Let a stranger create a session of its own."""
    request = stranger.plan()
    await stranger.ask(request, Ok)
    return request


def admit(stranger: Actor, created: CreateSession, *targets: SigningDevice, purpose: Purpose = Purpose.AUTO) -> Admit:
    """Return the request that admits devices to a stranger's own new session."""
    me = stranger.device
    epoch = me.sign(
        Epoch(
            session=created.session,
            number=2,
            previous=epoch_hash(created.epoch),
            members=(
                EpochMember(me.client, me.fingerprint),
                *(EpochMember(each.client, each.fingerprint) for each in targets),
            ),
            commitment=Hash(os.urandom(32)),
            causes=(),
            at=now_ms(),
        )
    )
    sealed = seal(EpochKey(os.urandom(32)), ReceiveKey.from_seed(os.urandom(96)).public, b"")
    admissions = tuple(
        me.sign(
            Admission(
                session=created.session,
                invite=InviteId(os.urandom(16)),
                sender=me.client,
                recipient=each.client,
                sender_key=me.fingerprint,
                recipient_key=each.fingerprint,
                purpose=purpose,
                mode=created.mode,
                profile=created.profile,
                protocol=ProtocolRange(1, 1),
                at=now_ms(),
                invite_hash=Hash(os.urandom(32)),
                answer_hash=Hash(os.urandom(32)),
                epoch=epoch,
                sealed=sealed,
            )
        )
        for each in targets
    )
    return Admit(id=1, session=created.session, epoch=epoch, sealed=(), admissions=admissions)
