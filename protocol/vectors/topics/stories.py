"""stories.json: whole lives of a session at its creator, step by step (SPEC.md sections 7 and 8)."""

from msgspec.structs import replace

from muster_protocol.calls import FIRST_RETRY_MS
from muster_protocol.epochs import epoch_hash
from muster_protocol.exchange import JOIN_DEADLINE_MS, Answer, Joined, Leave
from muster_protocol.ids import Signature, TimeMs, session_id
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.signed import Signed, read, sign
from vectors.topics import story
from vectors.topics.cast import DESK, LAPTOP, NAS, STRANGER, CastDevice, device, receive_key
from vectors.topics.creator_script import (
    ACCEPTED,
    ADMITTED,
    AT,
    CALLED,
    JOINED,
    NO_EPOCH,
    TRUSTED,
    CreatorScript,
    State,
    again,
    epoch,
    in_order,
    look,
    made,
    no,
    refusal,
    was_refused,
)
from vectors.topics.forms import Json, Vector, public, signed


def stories(told: story.Story) -> list[Vector]:
    """Return the lives of sessions, first at the creator."""
    return [_whole(told), _late(told), _given_up(told), _rejected(told), _slow(told), _taken_back(told), _full()]


def _whole(told: story.Story) -> Vector:
    steps = CreatorScript()
    steps.add("look", refusal(Reason.SESSION_CLOSED))
    steps.add("key", refusal(Reason.SESSION_CLOSED))
    steps.add("begin", {"epoch": signed(told.epochs[0])}, key=story.KEYS[1].hex(), now=AT)
    steps.call(told.nas, NAS)
    steps.admit(2, NO_EPOCH)
    steps.committed(look(1, nas=ACCEPTED))
    steps.committed(look(1, nas=ACCEPTED))
    steps.answer(told.nas.answer, NAS, refusal(Reason.REPLAYED), told.nas.invite_body.expires_at)
    steps.admit(2, made(told.epochs[1], [NAS], []), told.nas_admission)
    steps.admit(3, NO_EPOCH)
    steps.joined(_about_epoch(told, 0), NAS, refusal(Reason.NOT_A_MEMBER))
    steps.joined(told.nas_joined, NAS, {"state": None})
    steps.joined(told.nas_joined, DESK, refusal(Reason.NOT_A_MEMBER))
    steps.committed(look(2, nas=JOINED))
    steps.add("key", {"key": story.KEYS[2].hex()})
    steps.admit(3, NO_EPOCH)
    steps.answer(told.nas.answer, NAS, refusal(Reason.MISMATCH))
    steps.answer(no(told.nas, NAS, Reason.DECLINED), NAS, refusal(Reason.MISMATCH))
    _desk_comes_and_nas_leaves(steps, told)
    return steps.vector("two devices join, one is silent, the other leaves")


def _about_epoch(told: story.Story, place: int) -> Signed:
    """Return what the nas says when it joins, but about another epoch."""
    return sign(replace(read(told.nas_joined, Joined), epoch=epoch_hash(told.epochs[place])), NAS.key)


def _desk_comes_and_nas_leaves(steps: CreatorScript, told: story.Story) -> None:
    steps.invite(told.desk, DESK)
    both = replace(story.answer_body(told.desk.invite_body, told.desk.invite_hash, DESK), reason=Reason.DECLINED)
    steps.answer(sign(both, DESK.key), DESK, refusal(Reason.MALFORMED))
    steps.answer(told.desk.answer, DESK, {"state": "accepted"})
    steps.admit(3, made(told.epochs[2], [DESK], [NAS]), told.desk_admission)
    deadline = AT + JOIN_DEADLINE_MS
    steps.committed(look(3, deadline, nas=JOINED, desk=ADMITTED))
    steps.answer(told.desk.answer, DESK, refusal(Reason.REPLAYED))
    steps.joined(story.joined(NAS, told.epochs[2], None, receive_key("nas 3").public), NAS, {"state": None})
    waiting = look(3, deadline, nas=JOINED, desk=ADMITTED)
    steps.add("time", {"ended": [], **waiting}, now=deadline - 1)
    failed = was_refused(Reason.JOIN_FAILED, Sayer.DEVICE)
    steps.add("time", {"ended": [DESK.client], **look(3, nas=JOINED, desk=failed)}, now=deadline)
    _bad_leaves(steps)
    steps.leave(told.nas_leave, NAS, {})
    once_more = again(DESK, "desk again")
    steps.call(once_more, DESK)
    steps.admit(4, made(told.epochs[3], [DESK], []))
    steps.committed(look(4, deadline, joined=(), nas=JOINED, desk=ADMITTED))
    steps.leave(told.nas_leave, NAS, refusal(Reason.NOT_A_MEMBER))


def _bad_leaves(steps: CreatorScript) -> None:
    body = read(story.leave(NAS), Leave)
    elsewhere = replace(body, session=session_id(DESK.client, story.SEED))
    steps.leave(sign(elsewhere, NAS.key), NAS, refusal(Reason.MISMATCH))
    steps.leave(sign(replace(body, member=LAPTOP.client), NAS.key), NAS, refusal(Reason.MISMATCH))
    other_key = replace(body, member_key=STRANGER.key.fingerprint)
    steps.leave(sign(other_key, NAS.key), NAS, refusal(Reason.MISMATCH))
    steps.leave(sign(body, NAS.key), STRANGER, refusal(Reason.NOT_A_MEMBER))
    unsigned = replace(sign(body, NAS.key), signature=Signature(bytes(64)))
    steps.leave(unsigned, NAS, refusal(Reason.BAD_SIGNATURE, "signature"))


def _late(told: story.Story) -> Vector:
    """Let an invite end, and a device refuse and be called once more while the hub commits its admission."""
    steps = CreatorScript()
    steps.begin()
    end = told.nas.invite_body.expires_at
    steps.invite(told.nas, NAS)
    steps.add("time", {"ended": [], **look(1, end, nas=CALLED)}, now=end - 1)
    silent = was_refused(Reason.NO_ANSWER, Sayer.DEVICE)
    steps.add("time", {"ended": [NAS.client], **look(1, nas=silent)}, now=end)
    steps.answer(told.nas.answer, NAS, refusal(Reason.MISMATCH))
    second, third = again(NAS, "nas again"), again(NAS, "nas a third time")
    steps.call(second, NAS)
    steps.invite(told.desk, DESK)
    first_join, second_join = epoch(2, NAS), epoch(3, NAS)
    steps.admit(2, made(first_join, [NAS], []))
    steps.joined(told.nas_joined, DESK, refusal(Reason.NOT_A_MEMBER))
    steps.answer(no(second, NAS, Reason.CANNOT_OPEN), NAS, {"state": "refused"})
    steps.call(third, NAS)
    steps.committed(look(2, end, nas=ACCEPTED, desk=CALLED))
    steps.admit(3, made(second_join, [NAS], []))
    return steps.vector("an invite ends, and a device is called once more before the hub has its admission")


def _given_up(told: story.Story) -> Vector:
    steps = CreatorScript()
    steps.begin()
    steps.call(told.nas, NAS)
    steps.admit(2, made(told.epochs[1], [NAS], []))
    steps.answer(no(told.nas, NAS, Reason.CANNOT_OPEN), NAS, {"state": "refused"})
    steps.joined(told.nas_joined, NAS, refusal(Reason.NOT_A_MEMBER))
    gone = was_refused(Reason.CANNOT_OPEN, Sayer.PEER)
    steps.committed(look(2, nas=gone))
    steps.call(told.desk, DESK)
    steps.admit(3, made(epoch(3, DESK), [DESK], []))
    steps.committed(look(3, AT + JOIN_DEADLINE_MS, nas=gone, desk=ADMITTED))
    return steps.vector("a device gives up before the hub has its admission")


def _rejected(told: story.Story) -> Vector:
    """Let the hub refuse an epoch for a device that waits, for one that it does not know, then for a member."""
    steps = CreatorScript()
    steps.begin()
    steps.call(told.nas, NAS)
    steps.call(told.desk, DESK)
    steps.admit(2, made(epoch(2, NAS, DESK), [NAS, DESK], []))
    offline = was_refused(Reason.OFFLINE, Sayer.HUB)
    steps.rejected(look(1, nas=ACCEPTED, desk=offline), desk=Reason.OFFLINE, stranger=Reason.OFFLINE)
    declined = no(told.desk, DESK, Reason.DECLINED)
    steps.answer(told.desk.answer, DESK, refusal(Reason.MISMATCH))
    steps.answer(declined, DESK, {"state": "refused"})
    steps.answer(declined, DESK, refusal(Reason.MISMATCH))
    third = epoch(3, NAS, after=1)
    steps.admit(3, made(third, [NAS], []), told.nas_admission)
    deadline = AT + JOIN_DEADLINE_MS
    steps.committed(look(3, deadline, nas=ADMITTED, desk=was_refused(Reason.DECLINED, Sayer.PEER)))
    second = again(DESK, "desk again")
    steps.call(second, DESK)
    steps.admit(4, made(epoch(4, NAS, DESK, previous=third), [DESK], [NAS]))
    joined = story.joined(NAS, third, told.nas_admission, receive_key("nas 2").public)
    steps.joined(joined, NAS, {"state": "joined"})
    denied = Reason.DEVICE_REVOKED
    blocked = look(3, AT + FIRST_RETRY_MS, blocked={NAS: denied}, nas=JOINED, desk=ACCEPTED)
    steps.rejected(blocked, nas=denied)
    steps.admit(5, NO_EPOCH)
    earlier = replace(read(told.nas_leave, Leave), at=TimeMs(read(told.nas.answer, Answer).at - 1))
    steps.leave(sign(earlier, NAS.key), NAS, refusal(Reason.REPLAYED))
    steps.admit(5, NO_EPOCH)
    steps.leave(told.nas_leave, NAS, {})
    steps.admit(5, made(epoch(5, DESK, previous=third), [DESK], []))
    return steps.vector("the hub rejects an epoch for one device, then denies a member, which blocks until it leaves")


def _slow(told: story.Story) -> Vector:
    """Let a device say that it joined after another was admitted: at first by the later epoch."""
    steps = CreatorScript()
    steps.begin()
    steps.call(told.nas, NAS)
    steps.admit(2, made(told.epochs[1], [NAS], []), told.nas_admission)
    deadline = AT + JOIN_DEADLINE_MS
    steps.committed(look(2, deadline, nas=ADMITTED))
    steps.call(told.desk, DESK)
    steps.admit(3, made(told.epochs[2], [DESK], [NAS]), told.desk_admission)
    steps.committed(look(3, deadline, nas=ADMITTED, desk=ADMITTED))
    steps.joined(_about_epoch(told, 2), NAS, refusal(Reason.MISMATCH))
    steps.joined(told.nas_joined, NAS, {"state": "joined"})
    return steps.vector("a device joins by the epoch before the newest")


def _taken_back(told: story.Story) -> Vector:
    """Let the creator take back its trust at each step."""
    steps = CreatorScript()
    steps.begin()
    nas, desk = ({device.client: TRUSTED[device.client]} for device in (NAS, DESK))
    other = {NAS.client: STRANGER.key.fingerprint.hex()}
    steps.add("own", {}, trusts=desk)
    steps.add("invite", refusal(Reason.NOT_TRUSTED), invite=signed(told.nas.invite), target_key=public(NAS.key.public))
    steps.add("own", {}, trusts=other)
    steps.add("invite", refusal(Reason.KEY_MISMATCH), invite=signed(told.nas.invite), target_key=public(NAS.key.public))
    steps.add("own", {}, trusts=TRUSTED)
    steps.call(told.nas, NAS)
    steps.add("own", {}, trusts=desk | other)
    steps.admit(2, NO_EPOCH)
    steps.add("look", look(1, nas=was_refused(Reason.KEY_MISMATCH, Sayer.DEVICE)))
    steps.add("own", {}, trusts=TRUSTED)
    steps.call(told.nas, NAS)
    steps.admit(2, made(told.epochs[1], [NAS], []), told.nas_admission)
    steps.committed(look(2, AT + JOIN_DEADLINE_MS, nas=ADMITTED))
    steps.joined(told.nas_joined, NAS, {"state": "joined"})
    steps.add("own", {}, trusts=desk)
    steps.admit(3, NO_EPOCH)
    steps.add("look", look(2, nas=JOINED))
    steps.add("own", {}, trusts=TRUSTED)
    steps.invite(told.desk, DESK)
    steps.answer(told.desk.answer, DESK, {"state": "accepted"})
    steps.add("own", {}, trusts=nas)
    steps.admit(3, NO_EPOCH)
    steps.add("look", look(2, nas=JOINED, desk=was_refused(Reason.NOT_TRUSTED, Sayer.DEVICE)))
    steps.add("own", {}, trusts=TRUSTED)
    steps.call(told.desk, DESK)
    steps.admit(3, made(told.epochs[2], [DESK], [NAS]), told.desk_admission)
    steps.committed(look(3, AT + JOIN_DEADLINE_MS, nas=JOINED, desk=ADMITTED))
    steps.add("own", {}, trusts={STRANGER.client: STRANGER.key.fingerprint.hex()} | other)
    steps.call(story.called(STRANGER), STRANGER)
    steps.admit(4, made(epoch(4, STRANGER), [STRANGER], []))
    nas_gone, desk_gone = (was_refused(reason, Sayer.DEVICE) for reason in (Reason.KEY_MISMATCH, Reason.NOT_TRUSTED))
    steps.add("look", look(3, joined=(NAS,), nas=nas_gone, desk=desk_gone, stranger=ACCEPTED))
    return steps.vector("the creator takes back its trust before it calls, before it admits, and in members")


def _full() -> Vector:
    """Call more devices than a session holds, while one of its members loses the creator's trust; then one again."""
    guests = [device(f"guest {number}", 0x40 + number) for number in range(17)]
    early, lost, late = guests[:14], guests[13], guests[14:]
    trusts = {guest.client: guest.key.fingerprint.hex() for guest in guests}
    steps = CreatorScript()
    steps.add("own", {}, trusts=trusts)
    steps.begin()
    _call_all(steps, early)
    second = epoch(2, *early)
    steps.admit(2, made(second, early, []))
    steps.add("committed", _states(2, {ADMITTED: early}), now=AT)
    _call_all(steps, late)
    steps.add("own", {}, trusts={client: key for client, key in trusts.items() if client != lost.client})
    kept, newest = early[:13], late[:2]
    third = epoch(3, *kept, *newest, previous=second)
    steps.admit(3, made(third, newest, in_order(*kept)))
    gone = {
        was_refused(Reason.NOT_TRUSTED, Sayer.DEVICE): [lost],
        was_refused(Reason.TOO_MANY_TARGETS, Sayer.DEVICE): late[2:],
    }
    steps.add("committed", _states(3, {ADMITTED: [*kept, *newest]} | gone), now=AT)
    no_room = again(late[2], "no room")
    key = public(late[2].key.public)
    steps.add("invite", refusal(Reason.TOO_MANY_TARGETS), invite=signed(no_room.invite), target_key=key)
    steps.call(again(early[0], "room for a member"), early[0])
    rest = in_order(*kept[1:], *newest)
    steps.admit(4, made(epoch(4, *kept, *newest, previous=third), early[:1], rest))
    return steps.vector("a session is full, and has room for its own member")


def _call_all(steps: CreatorScript, guests: list[CastDevice]) -> None:
    for guest in guests:
        steps.call(again(guest, guest.name), guest)


def _states(number: int, states: dict[State, list[CastDevice]]) -> Json:
    targets = {guest.client: list(state) for state, guests in states.items() for guest in guests}
    return look(number, AT + JOIN_DEADLINE_MS) | {"targets": targets}
