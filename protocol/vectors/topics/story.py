"""One session from the first epoch to the last leave, by hand: what exchange, epochs and statements show."""

from dataclasses import dataclass

from muster_protocol.cards import Mode
from muster_protocol.epochs import Epoch, EpochMember, epoch_hash, in_order
from muster_protocol.exchange import (
    Admission,
    Answer,
    Invite,
    Joined,
    Leave,
    admission_info,
    epoch_info,
    hash_of,
)
from muster_protocol.frames import Purpose, SessionKind
from muster_protocol.ids import ClientId, Hash, SessionId, TimeMs, session_id
from muster_protocol.labels import Kind
from muster_protocol.sealing import EpochKey, PublicReceiveKey, commitment
from muster_protocol.signed import Signed, sign
from vectors.topics.cast import (
    DESK,
    LAPTOP,
    MINUTE_MS,
    NAS,
    NOW,
    SECOND_MS,
    VERSIONS,
    CastDevice,
    epoch_key,
    invite_id,
    receive_key,
    seed,
)
from vectors.topics.sealed import Sealer

SEED = seed("story")
SESSION: SessionId = session_id(LAPTOP.client, SEED)
PROFILE = "photos"
KEYS = {number: epoch_key(f"epoch {number}") for number in range(1, 12)}
MEMBERS = {device.client: EpochMember(device.client, device.key.fingerprint) for device in (LAPTOP, NAS, DESK)}


def invite_body(
    target: CastDevice = NAS, purpose: Purpose = Purpose.AUTO, kind: SessionKind = SessionKind.MESH
) -> Invite:
    """Return the body of the laptop's invite to a device."""
    return Invite(
        session=SESSION,
        invite=invite_id(target.name),
        sender=LAPTOP.client,
        recipient=target.client,
        sender_key=LAPTOP.key.fingerprint,
        recipient_key=target.key.fingerprint,
        purpose=purpose,
        mode=Mode.SYNCHRONIZE,
        profile=PROFILE,
        protocol=VERSIONS,
        at=TimeMs(NOW + SECOND_MS),
        kind=kind,
        seed=SEED,
        expires_at=TimeMs(NOW + SECOND_MS + 5 * MINUTE_MS),
    )


def answer_body(invite: Invite, invite_hash: Hash, target: CastDevice = NAS) -> Answer:
    """Return the body of a device's yes to an invite."""
    return Answer(
        session=invite.session,
        invite=invite.invite,
        sender=invite.recipient,
        recipient=invite.sender,
        sender_key=invite.recipient_key,
        recipient_key=invite.sender_key,
        purpose=invite.purpose,
        mode=invite.mode,
        profile=invite.profile,
        protocol=VERSIONS,
        at=TimeMs(NOW + 2 * SECOND_MS),
        invite_hash=invite_hash,
        receive_key=receive_key(f"{target.name} 1").public,
        reason=None,
    )


def epoch_body(number: int, previous: Hash | None, members: tuple[EpochMember, ...]) -> Epoch:
    """Return the body of an epoch with the key of its number."""
    return Epoch(
        session=SESSION,
        number=number,
        previous=previous,
        members=in_order(members),
        commitment=commitment(SESSION, number, KEYS[number]),
        at=TimeMs(NOW + 3 * SECOND_MS),
    )


@dataclass(frozen=True, slots=True)
class AnsweredInvite:
    """An invite, the answer to it, and their hashes."""

    invite_body: Invite
    invite: Signed
    invite_hash: Hash
    answer: Signed
    answer_hash: Hash


def called(target: CastDevice = NAS, kind: SessionKind = SessionKind.MESH) -> AnsweredInvite:
    """Let the laptop call a device that says yes."""
    body = invite_body(target, kind=kind)
    invite = sign(body, LAPTOP.key)
    invite_hash = hash_of(Kind.INVITE, invite)
    answer = sign(answer_body(body, invite_hash, target), target.key)
    return AnsweredInvite(body, invite, invite_hash, answer, hash_of(Kind.ANSWER, answer))


def admission_body(call: AnsweredInvite, epoch: Signed, sealed: bytes) -> Admission:
    """Return the body of the admission that follows a call."""
    invite = call.invite_body
    return Admission(
        session=invite.session,
        invite=invite.invite,
        sender=invite.sender,
        recipient=invite.recipient,
        sender_key=invite.sender_key,
        recipient_key=invite.recipient_key,
        purpose=invite.purpose,
        mode=invite.mode,
        profile=invite.profile,
        protocol=VERSIONS,
        at=TimeMs(NOW + 3 * SECOND_MS),
        invite_hash=call.invite_hash,
        answer_hash=call.answer_hash,
        epoch=epoch,
        sealed=sealed,
    )


def joined(member: CastDevice, epoch: Signed, admission: Signed | None, next_key: PublicReceiveKey) -> Signed:
    """Let a member say that it holds an epoch's key."""
    body = Joined(
        session=SESSION,
        member=member.client,
        member_key=member.key.fingerprint,
        epoch=epoch_hash(epoch),
        admission=None if admission is None else hash_of(Kind.ADMISSION, admission),
        receive_key=next_key,
        at=TimeMs(NOW + 4 * SECOND_MS),
    )
    return sign(body, member.key)


def leave(member: CastDevice) -> Signed:
    """Let a member leave."""
    body = Leave(
        session=SESSION, member=member.client, member_key=member.key.fingerprint, at=TimeMs(NOW + 9 * SECOND_MS)
    )
    return sign(body, member.key)


@dataclass(frozen=True, slots=True)
class Story:
    """The laptop makes a session, the nas joins, then the desk, then the nas leaves."""

    epochs: tuple[Signed, ...]
    nas: AnsweredInvite
    nas_admission: Signed
    nas_joined: Signed
    nas_leave: Signed
    desk: AnsweredInvite
    desk_admission: Signed
    sealed_to_nas: bytes
    sealed_to_nas_late: bytes


def epochs() -> tuple[Signed, ...]:
    """Return the four epochs of the story."""
    made: list[Signed] = []
    for number, present in enumerate([(LAPTOP,), (LAPTOP, NAS), (LAPTOP, NAS, DESK), (LAPTOP, DESK)], start=1):
        members = tuple(MEMBERS[device.client] for device in present)
        previous = epoch_hash(made[-1]) if made else None
        made.append(sign(epoch_body(number, previous, members), LAPTOP.key))
    return tuple(made)


def tell(sealer: Sealer) -> Story:
    """Tell the whole story; what is sealed comes from ``sealer``."""
    nas, desk = called(NAS), called(DESK)
    made = epochs()
    nas_admission = _admit(sealer, NAS, nas, made[1], KEYS[2])
    desk_admission = _admit(sealer, DESK, desk, made[2], KEYS[3])
    info = epoch_info(epoch_hash(made[2]), ClientId(NAS.client))
    return Story(
        epochs=made,
        nas=nas,
        nas_admission=nas_admission,
        nas_joined=joined(NAS, made[1], nas_admission, receive_key("nas 2").public),
        nas_leave=leave(NAS),
        desk=desk,
        desk_admission=desk_admission,
        sealed_to_nas=sealer.seal("epoch 3 for the nas, to its newest key", KEYS[3], "nas 2", info),
        sealed_to_nas_late=sealer.seal("epoch 3 for the nas, to the key before", KEYS[3], "nas 1", info),
    )


def _admit(sealer: Sealer, newcomer: CastDevice, call: AnsweredInvite, epoch: Signed, key: EpochKey) -> Signed:
    info = admission_info(call.invite_hash, call.answer_hash, epoch_hash(epoch))
    sealed = sealer.seal(f"the key in the admission of the {newcomer.name}", key, f"{newcomer.name} 1", info)
    return sign(admission_body(call, epoch, sealed), LAPTOP.key)
