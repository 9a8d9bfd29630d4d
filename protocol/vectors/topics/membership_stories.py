"""stories.json: members at the creator that are silent, are called again or go (SPEC.md sections 7 and 8.5)."""

from msgspec.structs import replace

from muster_protocol.exchange import JOIN_DEADLINE_MS, Answer
from muster_protocol.frames import SessionKind
from muster_protocol.governance import Untrust
from muster_protocol.ids import Serial
from muster_protocol.keys import SigningKey
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.signed import read, sign
from vectors.topics import story
from vectors.topics.cast import (
    DESK,
    LAPTOP,
    NAS,
    NOW,
    SECOND_MS,
    STRANGER,
    CastDevice,
    secret,
)
from vectors.topics.creator_script import (
    ADMITTED,
    AT,
    CALLED,
    JOINED,
    TRUSTED,
    CreatorScript,
    again,
    epoch,
    look,
    made,
    no,
    refusal,
    was_refused,
)
from vectors.topics.forms import Vector

DEADLINE = AT + JOIN_DEADLINE_MS
MISMATCH = refusal(Reason.MISMATCH)


def membership_stories(told: story.Story) -> list[Vector]:
    """Return lives of sessions whose members come and go in other ways than the usual one."""
    return [
        _silent(told),
        _ended_early(told),
        _ended_late(told),
        _called_again(told),
        _refuses_later(told),
        _refused_after_it_left(told),
        _leaves_before_it_joins(told),
        _leaves_while_called(told),
        _new_key(told),
        _untrusts(SessionKind.MESH),
        _untrusts(SessionKind.STAR),
        _untrusts_one_that_refused(told),
    ]


def nas_in(told: story.Story, *, joins: bool = True) -> CreatorScript:
    """Return the steps after which the nas is a member."""
    steps = CreatorScript()
    steps.begin()
    steps.call(told.nas, NAS)
    steps.admit(2, made(told.epochs[1], [NAS], []), told.nas_admission)
    steps.committed(look(2, DEADLINE, nas=ADMITTED))
    if joins:
        steps.joined(told.nas_joined, NAS, {"state": "joined"})
    return steps


def _silent(told: story.Story) -> Vector:
    steps = nas_in(told, joins=False)
    failed = was_refused(Reason.JOIN_FAILED, Sayer.DEVICE)
    steps.add("time", {"ended": [NAS.client], **look(2, nas=failed)}, now=DEADLINE)
    steps.joined(told.nas_joined, NAS, MISMATCH)
    steps.call(told.desk, DESK)
    steps.admit(3, made(epoch(3, DESK), [DESK], []))
    steps.committed(look(3, DEADLINE, nas=failed, desk=ADMITTED))
    return steps.vector("a device that was admitted never joins, and the next epoch is without it")


def _ended_early(told: story.Story) -> Vector:
    """Let calls end before their devices answered: by the creator's own word, and by that of the hub."""
    steps = CreatorScript()
    steps.begin()
    distrusted = was_refused(Reason.NOT_TRUSTED, Sayer.DEVICE)
    steps.ended(STRANGER, Reason.NOT_TRUSTED, look(1, stranger=distrusted), Sayer.DEVICE)
    steps.invite(told.desk, DESK)
    expired = was_refused(Reason.EXPIRED, Sayer.HUB)
    for reason in (Reason.EXPIRED, Reason.OFFLINE):
        steps.ended(DESK, reason, look(1, stranger=distrusted, desk=expired))
    steps.answer(told.desk.answer, DESK, MISMATCH)
    yes = read(told.desk.answer, Answer)
    steps.answer(sign(replace(yes, recipient=NAS.client), DESK.key), DESK, refusal(Reason.WRONG_RECIPIENT))
    steps.answer(sign(replace(yes, reason=Reason.DECLINED), DESK.key), DESK, refusal(Reason.MALFORMED))
    declined = no(told.desk, DESK, Reason.DECLINED)
    steps.answer(declined, DESK, {"state": "refused"})
    own_word = look(1, stranger=distrusted, desk=was_refused(Reason.DECLINED, Sayer.PEER))
    steps.ended(DESK, Reason.OFFLINE, own_word)
    steps.answer(declined, DESK, MISMATCH)
    steps.ended(DESK, Reason.NOT_TRUSTED, look(1, stranger=distrusted, desk=distrusted), Sayer.DEVICE)
    return steps.vector("calls end by the word of the creator or of the hub, which the device's own word replaces")


def _ended_late(told: story.Story) -> Vector:
    """Let the hub end the call of an admitted device, which says why while the next epoch is under way."""
    steps = nas_in(told, joins=False)
    steps.ended(NAS, Reason.JOIN_FAILED, look(2, nas=was_refused(Reason.JOIN_FAILED, Sayer.HUB)))
    steps.joined(told.nas_joined, NAS, MISMATCH)
    steps.call(told.desk, DESK)
    steps.admit(3, made(epoch(3, DESK), [DESK], []))
    steps.answer(no(told.nas, NAS, Reason.CANNOT_OPEN), NAS, {"state": "refused"})
    steps.committed(look(3, DEADLINE, nas=was_refused(Reason.CANNOT_OPEN, Sayer.PEER), desk=ADMITTED))
    return steps.vector("the hub ends the call of an admitted device, and the next epoch is without it")


def _called_again(told: story.Story) -> Vector:
    """Call a member again: that the call ends unanswered, or by the hub's word, leaves out no member."""
    steps = nas_in(told)
    cancelled = was_refused(Reason.CANCELLED, Sayer.DEVICE)
    steps.ended(NAS, Reason.CANCELLED, look(2, nas=JOINED), Sayer.DEVICE)
    steps.ended(NAS, Reason.CANCELLED, look(2, nas=JOINED))
    second = again(NAS, "nas again")
    steps.invite(second, NAS)
    end = second.invite_body.expires_at
    steps.add("look", look(2, end, joined=(NAS,), nas=CALLED))
    silent = was_refused(Reason.NO_ANSWER, Sayer.DEVICE)
    steps.add("time", {"ended": [NAS.client], **look(2, joined=(NAS,), nas=silent)}, now=end)
    steps.invite(again(NAS, "nas a third time"), NAS)
    steps.ended(NAS, Reason.CANCELLED, look(2, joined=(NAS,), nas=cancelled), Sayer.DEVICE)
    steps.invite(again(NAS, "nas a fourth time"), NAS)
    steps.ended(NAS, Reason.OFFLINE, look(2, joined=(NAS,), nas=was_refused(Reason.OFFLINE, Sayer.HUB)))
    steps.call(told.desk, DESK)
    steps.admit(3, made(told.epochs[2], [DESK], [NAS]), told.desk_admission)
    offline = was_refused(Reason.OFFLINE, Sayer.HUB)
    steps.committed(look(3, DEADLINE, joined=(NAS,), nas=offline, desk=ADMITTED))
    return steps.vector("a member is called again in vain, and stays")


def _refuses_later(told: story.Story) -> Vector:
    steps = nas_in(told)
    second = again(NAS, "nas again")
    steps.invite(second, NAS)
    steps.answer(no(second, NAS, Reason.DECLINED), NAS, {"state": "refused"})
    declined = was_refused(Reason.DECLINED, Sayer.PEER)
    steps.add("look", look(2, joined=(NAS,), nas=declined))
    steps.call(told.desk, DESK)
    steps.admit(3, made(told.epochs[2], [DESK], [NAS]), told.desk_admission)
    steps.committed(look(3, DEADLINE, joined=(NAS,), nas=declined, desk=ADMITTED))
    return steps.vector("a member is called again and refuses, and the next epoch keeps it")


def _refused_after_it_left(told: story.Story) -> Vector:
    """Let a member leave: the creator may refuse to call it again, and what the hub says of its old call is nothing."""
    steps = nas_in(told)
    steps.leave(told.nas_leave, NAS, {})
    steps.ended(NAS, Reason.OFFLINE, look(2, nas=JOINED))
    distrusted = was_refused(Reason.NOT_TRUSTED, Sayer.DEVICE)
    steps.ended(NAS, Reason.NOT_TRUSTED, look(2, joined=(NAS,), nas=distrusted), Sayer.DEVICE)
    return steps.vector("a member leaves, and may not be called again")


def _leaves_before_it_joins(told: story.Story) -> Vector:
    steps = nas_in(told, joins=False)
    steps.leave(told.nas_leave, NAS, {})
    steps.joined(told.nas_joined, NAS, MISMATCH)
    steps.ended(NAS, Reason.NOT_A_MEMBER, look(2, nas=was_refused(Reason.NOT_A_MEMBER, Sayer.HUB)))
    steps.call(told.desk, DESK)
    steps.admit(3, made(epoch(3, DESK), [DESK], []))
    return steps.vector("a device leaves before it says that it joined")


def _leaves_while_called(told: story.Story) -> Vector:
    """Let a member leave while it is called again: that call is newer, and goes on."""
    steps = nas_in(told)
    second = again(NAS, "nas again")
    steps.invite(second, NAS)
    steps.leave(told.nas_leave, NAS, {})
    steps.answer(second.answer, NAS, {"state": "accepted"})
    steps.leave(told.nas_leave, NAS, {})
    third = epoch(3, NAS)
    steps.admit(3, made(third, [NAS], []))
    steps.committed(look(3, DEADLINE, nas=ADMITTED))
    steps.call(told.desk, DESK)
    steps.admit(4, made(epoch(4, NAS, DESK, previous=third), [DESK], [NAS]))
    return steps.vector("a member leaves while it is called again, and comes back by that call")


def _new_key(told: story.Story) -> Vector:
    """Let a member change its key: the creator, which pinned the new one, calls it by that."""
    steps = nas_in(told)
    key = SigningKey.from_secret(secret(0x22))
    rotated = CastDevice(NAS.name, secret(0x22), key, NAS.client)
    steps.add("own", {}, trusts={**TRUSTED, NAS.client: key.fingerprint.hex()})
    steps.call(again(rotated, "nas with its new key"), rotated)
    third = epoch(3, rotated)
    steps.admit(3, made(third, [rotated], []))
    steps.committed(look(3, DEADLINE, nas=ADMITTED))
    steps.leave(told.nas_leave, NAS, refusal(Reason.MISMATCH, "signature"))
    return steps.vector("a member is called again by its new key, and no longer goes by its old one")


def _untrusts(kind: SessionKind) -> Vector:
    """Let members say that they trust another member, and the creator, no longer."""
    steps = CreatorScript()
    steps.begin()
    steps.call(again(NAS, f"nas in a {kind.value}", kind), NAS)
    steps.call(again(DESK, f"desk in a {kind.value}", kind), DESK)
    second = epoch(2, NAS, DESK)
    steps.admit(2, made(second, [NAS, DESK], []))
    steps.committed(look(2, DEADLINE, nas=ADMITTED, desk=ADMITTED))
    serial = Serial(NOW + 9 * SECOND_MS)
    of_desk, of_itself, of_stranger, of_laptop = (
        sign(Untrust(client=NAS.client, serial=serial, peer=peer.client), NAS.key)
        for peer in (DESK, NAS, STRANGER, LAPTOP)
    )
    steps.departure(Kind.UNTRUST, of_itself, NAS, MISMATCH)
    steps.departure(Kind.UNTRUST, of_stranger, NAS, MISMATCH)
    steps.departure(Kind.UNTRUST, of_desk, NAS, {} if kind is SessionKind.MESH else MISMATCH)
    if kind is SessionKind.STAR:
        steps.departure(Kind.UNTRUST, of_laptop, NAS, {})
    steps.add("own", {}, trusts={**TRUSTED, STRANGER.client: STRANGER.key.fingerprint.hex()})
    steps.call(again(STRANGER, f"stranger in a {kind.value}", kind), STRANGER)
    steps.admit(3, made(epoch(3, DESK, STRANGER, previous=second), [STRANGER], [DESK]))
    return steps.vector(f"in a {kind.value} a member goes because it trusts another device no longer", kind)


def _untrusts_one_that_refused(told: story.Story) -> Vector:
    """Let a device refuse while the epoch that admits it is under way, and a member trust that device no longer."""
    steps = nas_in(told)
    of_desk = sign(Untrust(client=NAS.client, serial=Serial(NOW + 9 * SECOND_MS), peer=DESK.client), NAS.key)
    steps.call(told.desk, DESK)
    steps.admit(3, made(told.epochs[2], [DESK], [NAS]), told.desk_admission)
    steps.answer(no(told.desk, DESK, Reason.CANNOT_OPEN), DESK, {"state": "refused"})
    steps.departure(Kind.UNTRUST, of_desk, NAS, MISMATCH)
    steps.committed(look(3, nas=JOINED, desk=was_refused(Reason.CANNOT_OPEN, Sayer.PEER)))
    steps.departure(Kind.UNTRUST, of_desk, NAS, {})
    second = again(DESK, "desk again")
    steps.call(second, DESK)
    steps.admit(4, made(epoch(4, DESK, previous=told.epochs[2]), [DESK], []))
    return steps.vector("a member goes because it trusts a device no longer that refused the epoch that admits it")
