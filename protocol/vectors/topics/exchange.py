"""exchange.json: the four messages of a join, and what stops each (SPEC.md section 7)."""

from msgspec.structs import replace

from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.epochs import Epoch, epoch_hash, in_order
from muster_protocol.exchange import MAX_INVITE_MS, Answer, Invite, Joined, admission_info
from muster_protocol.frames import Purpose, SessionKind
from muster_protocol.ids import Hash, Signature, TimeMs, session_id
from muster_protocol.reasons import Reason
from muster_protocol.sealing import MLKEM_BYTES, EpochKey, PublicReceiveKey
from muster_protocol.signed import Signed, read, sign
from vectors.topics import story
from vectors.topics.cast import (
    DESK,
    LAPTOP,
    NAS,
    NOW,
    SECOND_MS,
    STRANGER,
    VERSIONS,
    CastDevice,
    epoch_key,
    invite_id,
    receive_key,
    receive_seed,
)
from vectors.topics.forms import Json, Vector, accepted, public, refused, signed
from vectors.topics.sealed import Sealer

PINS: dict[str, str] = {device.client: device.key.fingerprint.hex() for device in (LAPTOP, DESK)}
ANSWERED = NOW + 2 * SECOND_MS


def exchange(told: story.Story, sealer: Sealer) -> list[Vector]:
    """Return each message as it is accepted, then forgeries and mistakes."""
    return [*_invites(), *_answers(told), *_admissions(told, sealer), *_members(told), *_joined(told)]


def _turned(statement: Signed) -> Signed:
    return replace(statement, signature=Signature(bytes(64)))


def _invites() -> list[Vector]:
    body = story.invite_body()
    good = {
        "to join by grant": body,
        "to ask the person, without a profile": replace(body, purpose=Purpose.ASK, profile=None),
        "to a star": replace(body, kind=SessionKind.STAR),
        "for a whole day": replace(body, expires_at=TimeMs(body.at + MAX_INVITE_MS)),
    }
    found = [_invited(name, sign(invite, LAPTOP.key)) for name, invite in good.items()]
    bad = {
        "for another device": (replace(body, recipient=DESK.client), Reason.WRONG_RECIPIENT),
        "to an older key of this device": (
            replace(body, recipient_key=DESK.key.fingerprint),
            Reason.KEY_MISMATCH,
        ),
        "in the name of another key": (replace(body, sender_key=DESK.key.fingerprint), Reason.MISMATCH),
        "from this device itself": (
            replace(body, sender=NAS.client, session=session_id(NAS.client, story.SEED)),
            Reason.MISMATCH,
        ),
        "into the session of another": (replace(body, session=session_id(DESK.client, story.SEED)), Reason.MISMATCH),
        "that lives longer than a day": (
            replace(body, expires_at=TimeMs(body.at + MAX_INVITE_MS + 1)),
            Reason.MALFORMED,
        ),
        "that was never alive": (replace(body, expires_at=body.at), Reason.MALFORMED),
    }
    found += [
        refused(f"invite: {name}", inviting(sign(invite, LAPTOP.key)), reason, "rule")
        for name, (invite, reason) in bad.items()
    ]
    by_stranger = inviting(sign(body, STRANGER.key))
    unsigned = inviting(_turned(sign(body, LAPTOP.key)))
    found.append(refused("invite: signed by a stranger", by_stranger, Reason.MISMATCH, "signature"))
    return [*found, refused("invite: without a good signature", unsigned, Reason.BAD_SIGNATURE, "signature")]


def inviting(invite: Signed) -> Json:
    """Return an invite at the device that it calls."""
    return {
        "op": "invite",
        "invite": signed(invite),
        "creator_key": public(LAPTOP.key.public),
        "me": NAS.client,
        "my_key": NAS.key.fingerprint.hex(),
    }


def _invited(name: str, invite: Signed) -> Vector:
    body = read(invite, Invite)
    expect = {
        "session": body.session,
        "sender": body.sender,
        "purpose": body.purpose.value,
        "kind": body.kind.value,
        "expires_at": body.expires_at,
    }
    return accepted(f"invite: {name}", inviting(invite), expect)


def answering(answer: Signed, now: int = ANSWERED, sender: CastDevice = NAS) -> Json:
    """Return an answer at the creator."""
    return {
        "op": "answer",
        "creator_secret": LAPTOP.secret.hex(),
        "seed": story.SEED.hex(),
        "invite": signed(story.called().invite),
        "target_key": public(NAS.key.public),
        "answer": signed(answer),
        "sender": sender.client,
        "now": now,
    }


def _answers(told: story.Story) -> list[Vector]:
    body = read(told.nas.answer, Answer)
    no = replace(body, receive_key=None, reason=Reason.DECLINED)
    late = told.nas.invite_body.expires_at
    yes = {"state": "accepted", "reason": None, "receive_key": receive_key("nas 1").public.hex()}
    declined = {"state": "refused", "reason": "declined", "receive_key": None}
    found = [
        accepted("answer: yes", answering(told.nas.answer), yes),
        accepted("answer: yes, in the last millisecond", answering(told.nas.answer, late - 1), yes),
        accepted("answer: no", answering(sign(no, NAS.key)), declined),
        accepted("answer: no, after the invite's end", answering(sign(no, NAS.key), late), declined),
        refused("answer: yes, at the invite's end", answering(told.nas.answer, late), Reason.EXPIRED, "rule"),
    ]
    for name, (bad, reason, layer) in _bad_answers(body, told).items():
        found.append(refused(f"answer: {name}", answering(sign(bad, NAS.key)), reason, layer))
    by_other = answering(sign(replace(body, sender=DESK.client), DESK.key), sender=NAS)
    from_other = answering(told.nas.answer, sender=DESK)
    found.append(refused("answer: of another device", by_other, Reason.MISMATCH, "signature"))
    found.append(refused("answer: from one who was not called", from_other, Reason.MISMATCH, "rule"))
    unsigned = answering(_turned(told.nas.answer))
    return [*found, refused("answer: without a good signature", unsigned, Reason.BAD_SIGNATURE, "signature")]


def _bad_answers(body: Answer, told: story.Story) -> dict[str, tuple[Answer, Reason, str]]:
    weak = PublicReceiveKey(receive_key("nas 1").public[:MLKEM_BYTES] + bytes(32))
    neither = replace(body, receive_key=None)
    return {
        "to another device": (replace(body, recipient=DESK.client), Reason.WRONG_RECIPIENT, "rule"),
        "in another session": (
            replace(body, session=session_id(DESK.client, story.SEED)),
            Reason.MISMATCH,
            "rule",
        ),
        "to another invite's id": (replace(body, invite=invite_id("another")), Reason.MISMATCH, "rule"),
        "to another invite's bytes": (replace(body, invite_hash=told.desk.invite_hash), Reason.MISMATCH, "rule"),
        "with another mode": (replace(body, mode=Mode.JOIN), Reason.MISMATCH, "rule"),
        "with another profile": (replace(body, profile=None), Reason.MISMATCH, "rule"),
        "with another purpose": (replace(body, purpose=Purpose.ASK), Reason.MISMATCH, "rule"),
        "in the name of another sender": (replace(body, sender=DESK.client), Reason.MISMATCH, "rule"),
        "with another key of its own": (replace(body, sender_key=DESK.key.fingerprint), Reason.MISMATCH, "rule"),
        "with another key of the creator": (
            replace(body, recipient_key=DESK.key.fingerprint),
            Reason.MISMATCH,
            "rule",
        ),
        "without a common version": (
            replace(body, protocol=ProtocolRange(2, 2)),
            Reason.INCOMPATIBLE_PROTOCOL,
            "rule",
        ),
        "neither yes nor no": (neither, Reason.MALFORMED, "rule"),
        "with a reason that only a hub gives": (
            replace(neither, reason=Reason.OFFLINE),
            Reason.MALFORMED,
            "rule",
        ),
        "with an unsafe receive key": (replace(body, receive_key=weak), Reason.MALFORMED, "key"),
    }


def admitting(call: story.AnsweredInvite, admission: Signed, pins: dict[str, str] | None = None) -> Json:
    """Return an admission at the device that it admits."""
    return {
        "op": "admission",
        "target_secret": NAS.secret.hex(),
        "creator_key": public(LAPTOP.key.public),
        "protocol": [VERSIONS.low, VERSIONS.high],
        "invite": signed(call.invite),
        "answer_at": ANSWERED,
        "receive_seed": receive_seed("nas 1").hex(),
        "pins": PINS if pins is None else pins,
        "admission": signed(admission),
    }


def _admissions(told: story.Story, sealer: Sealer) -> list[Vector]:
    expect = {
        "answer": signed(told.nas.answer),
        "epoch_hash": epoch_hash(told.epochs[1]).hex(),
        "epoch_key": story.KEYS[2].hex(),
        "version": 1,
    }
    found = [accepted("admission: the nas comes in", admitting(told.nas, told.nas_admission), expect)]
    body = story.admission_body(told.nas, told.epochs[1], sealer.seal(*_plain_seal(told)))
    bad = {
        "for another device": (replace(body, recipient=DESK.client), Reason.WRONG_RECIPIENT, "rule"),
        "to another invite": (replace(body, invite_hash=told.desk.invite_hash), Reason.MISMATCH, "rule"),
        "to another answer": (replace(body, answer_hash=told.desk.answer_hash), Reason.CANNOT_OPEN, "rule"),
        "with another mode": (replace(body, mode=Mode.JOIN), Reason.MISMATCH, "rule"),
        "of another sender": (replace(body, sender=DESK.client), Reason.MISMATCH, "rule"),
        "with the epoch before": (replace(body, epoch=told.epochs[0]), Reason.MISMATCH, "rule"),
        "with the epoch after": (replace(body, epoch=told.epochs[2]), Reason.CANNOT_OPEN, "sealing"),
    }
    for name, (admission, reason, layer) in bad.items():
        given = admitting(told.nas, sign(admission, LAPTOP.key))
        found.append(refused(f"admission: {name}", given, reason, layer))
    return [*found, *_bad_epochs(told, sealer), *_bad_signers(told)]


def _plain_seal(told: story.Story) -> tuple[str, EpochKey, str, bytes]:
    info = admission_info(told.nas.invite_hash, told.nas.answer_hash, epoch_hash(told.epochs[1]))
    return ("the key in the admission of the nas, sealed again", story.KEYS[2], "nas 1", info)


def _bad_signers(told: story.Story) -> list[Vector]:
    by_stranger = replace(told.nas_admission, signer=STRANGER.key.fingerprint)
    return [
        refused("admission: signed by a stranger", admitting(told.nas, by_stranger), Reason.MISMATCH, "signature"),
        refused(
            "admission: without a good signature",
            admitting(told.nas, _turned(told.nas_admission)),
            Reason.BAD_SIGNATURE,
            "signature",
        ),
    ]


def _bad_epochs(told: story.Story, sealer: Sealer) -> list[Vector]:
    """Seal the right key under epochs that the nas must not enter."""
    epoch = read(told.epochs[1], Epoch)
    laptop, nas, desk = (story.MEMBERS[device.client] for device in (LAPTOP, NAS, DESK))
    with_desk = replace(epoch, members=in_order((laptop, desk, nas)))
    bad: dict[str, tuple[Epoch, EpochKey, dict[str, str], Reason, str]] = {
        "a member that it did not pin": (
            with_desk,
            story.KEYS[2],
            {LAPTOP.client: PINS[LAPTOP.client]},
            Reason.NOT_TRUSTED,
            "rule",
        ),
        "a member that it pinned with another key": (
            with_desk,
            story.KEYS[2],
            PINS | {DESK.client: STRANGER.key.fingerprint.hex()},
            Reason.KEY_MISMATCH,
            "rule",
        ),
        "a key that the epoch does not commit to": (epoch, epoch_key("another"), PINS, Reason.MISMATCH, "rule"),
        "an epoch without the creator": (
            replace(epoch, members=in_order((nas, desk))),
            story.KEYS[2],
            PINS,
            Reason.MISMATCH,
            "rule",
        ),
        "an epoch that names it twice": (
            replace(epoch, members=(laptop, nas, nas)),
            story.KEYS[2],
            PINS,
            Reason.MALFORMED,
            "rule",
        ),
    }
    found = []
    for name, (forged, key, pins, reason, layer) in bad.items():
        statement = sign(forged, LAPTOP.key)
        info = admission_info(told.nas.invite_hash, told.nas.answer_hash, epoch_hash(statement))
        sealed_key = sealer.seal(f"the key behind: {name}", key, "nas 1", info)
        admission = sign(story.admission_body(told.nas, statement, sealed_key), LAPTOP.key)
        found.append(refused(f"admission: {name}", admitting(told.nas, admission, pins), reason, layer))
    return found


def _members(told: story.Story) -> list[Vector]:
    """Let the nas, a member, hear of the epoch that has the desk."""
    opened = {"epoch_hash": epoch_hash(told.epochs[2]).hex(), "epoch_key": story.KEYS[3].hex()}
    newest = _moving(told, told.epochs[2], told.sealed_to_nas)
    before = _moving(told, told.epochs[2], told.sealed_to_nas_late)
    return [
        accepted("epoch: sealed to the newest receive key", newest, opened | _offered(told, "nas 3")),
        accepted("epoch: sealed to the receive key before", before, opened | _offered(told, "nas 2")),
        refused(
            "epoch: the one that it has already",
            _moving(told, told.epochs[1], told.sealed_to_nas),
            Reason.REPLAYED,
            "rule",
        ),
        refused(
            "epoch: sealed for another epoch",
            _moving(told, _other_epoch(told), told.sealed_to_nas),
            Reason.CANNOT_OPEN,
            "sealing",
        ),
        refused(
            "epoch: with a newcomer that it did not pin",
            _moving(told, told.epochs[2], told.sealed_to_nas, {LAPTOP.client: PINS[LAPTOP.client]}),
            Reason.NOT_TRUSTED,
            "rule",
        ),
        refused(
            "epoch: made by a member that is not the creator",
            _moving(told, sign(read(told.epochs[2], Epoch), NAS.key), told.sealed_to_nas),
            Reason.MISMATCH,
            "signature",
        ),
    ]


def _offered(told: story.Story, name: str) -> Json:
    """Return the nas's answer: with a fresh receive key, unless the one it offered before is unused."""
    return {"joined": signed(story.joined(NAS, told.epochs[2], None, receive_key(name).public))}


def _other_epoch(told: story.Story) -> Signed:
    return sign(replace(read(told.epochs[2], Epoch), at=TimeMs(NOW + 99)), LAPTOP.key)


def _moving(told: story.Story, epoch: Signed, sealed_key: bytes, pins: dict[str, str] | None = None) -> Json:
    return {
        "op": "epoch",
        "admitted": admitting(told.nas, told.nas_admission),
        "next_receive_seed": receive_seed("nas 2").hex(),
        "fresh_receive_seed": receive_seed("nas 3").hex(),
        "joined_at": NOW + 4 * SECOND_MS,
        "epoch": signed(epoch),
        "sealed": sealed_key.hex(),
        "pins": PINS if pins is None else pins,
    }


def _joined(told: story.Story) -> list[Vector]:
    """Let the nas say that it is in."""
    body = read(told.nas_joined, Joined)
    other = Hash(bytes(32))
    bad = {
        "of another session": replace(body, session=session_id(DESK.client, story.SEED)),
        "in the name of another member": replace(body, member=DESK.client),
        "with another key": replace(body, member_key=DESK.key.fingerprint),
        "for an unknown epoch": replace(body, epoch=other),
        "for another admission": replace(body, admission=other),
    }
    found = [accepted("joined: the nas is in", saying(told, told.nas_joined), {"state": "joined"})]
    for name, statement in bad.items():
        given = saying(told, sign(statement, NAS.key))
        found.append(refused(f"joined: {name}", given, Reason.MISMATCH, "rule"))
    weak = PublicReceiveKey(body.receive_key[:MLKEM_BYTES] + bytes(32))
    unsafe = saying(told, sign(replace(body, receive_key=weak), NAS.key))
    unsigned = saying(told, _turned(told.nas_joined))
    stranger = saying(told, told.nas_joined, sender=DESK)
    early = sign(replace(body, epoch=epoch_hash(told.epochs[0])), NAS.key)
    return [
        *found,
        refused("joined: with an unsafe receive key", unsafe, Reason.MALFORMED, "key"),
        refused("joined: without a good signature", unsigned, Reason.BAD_SIGNATURE, "signature"),
        refused("joined: from one who is no member", stranger, Reason.NOT_A_MEMBER, "rule"),
        refused("joined: for the epoch before its own", saying(told, early), Reason.REPLAYED, "rule"),
        refused("joined: said twice", saying(told, told.nas_joined, times=2), Reason.REPLAYED, "rule"),
    ]


def saying(told: story.Story, statement: Signed, sender: CastDevice = NAS, times: int = 1) -> Json:
    """Return a ``joined`` at the creator."""
    return {
        **answering(told.nas.answer),
        "op": "joined",
        "epochs": [signed(epoch) for epoch in told.epochs[:2]],
        "epoch_keys": [story.KEYS[number].hex() for number in (1, 2)],
        "admission": signed(told.nas_admission),
        "joined": signed(statement),
        "joined_by": sender.client,
        "times": times,
    }
