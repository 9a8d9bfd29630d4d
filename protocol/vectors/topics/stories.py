"""stories.json: whole lives of a session at its creator, step by step (SPEC.md sections 7 and 8)."""

from dataclasses import dataclass, field

from msgspec.structs import replace

from muster_protocol.calls import FIRST_RETRY_MS
from muster_protocol.epochs import EpochMember, epoch_hash
from muster_protocol.exchange import JOIN_DEADLINE_MS, Answer, Joined, Leave, hash_of
from muster_protocol.ids import Signature, TimeMs, session_id
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
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
    device,
    invite_id,
    receive_key,
)
from vectors.topics.forms import Json, Vector, accepted, public, signed

AT = NOW + 3 * SECOND_MS
"""When the creator makes all its epochs, so that they are those of the story."""
BY_NAME = {device.name: device for device in (NAS, DESK, STRANGER)}
TRUSTED = {device.client: device.key.fingerprint.hex() for device in (NAS, DESK)}

_Target = tuple[str, str | None, str | None]
CALLED, ACCEPTED, ADMITTED, JOINED = ((state, None, None) for state in ("called", "accepted", "admitted", "joined"))


def refusal(reason: Reason, layer: str = "rule") -> Json:
    """Return the outcome of a step that is refused."""
    return {"refused": {"reason": reason.value, "layer": layer}}


@dataclass(slots=True)
class CreatorScript:
    """The steps of a creator, each with its outcome."""

    steps: list[Json] = field(default_factory=list)
    outcomes: list[Json] = field(default_factory=list)

    def add(self, do: str, outcome: Json, **given: object) -> None:
        """Add a step."""
        self.steps.append({"do": do, **given})
        self.outcomes.append(outcome)

    def begin(self) -> None:
        """Make the session, and let the hub have it."""
        self.add("begin", {"epoch": signed(story.epochs()[0])}, key=story.KEYS[1].hex(), now=AT)
        self.committed(1)

    def invite(self, call: story.AnsweredInvite, target: CastDevice) -> None:
        """Call a device."""
        self.add("invite", {"same_bytes": True}, invite=signed(call.invite), target_key=public(target.key.public))

    def answer(self, answer: Signed, sender: CastDevice, outcome: Json, now: int = AT) -> None:
        """Take an answer."""
        self.add("answer", outcome, answer=signed(answer), sender=sender.client, now=now)

    def call(self, call: story.AnsweredInvite, target: CastDevice) -> None:
        """Call a device that says yes."""
        self.invite(call, target)
        self.answer(call.answer, target, {"state": "accepted"})

    def admit(self, number: int, outcome: Json, *admissions: Signed) -> None:
        """Make the next epoch; ``admissions`` are taken for those that the creator seals."""
        shown = [signed(admission) for admission in admissions]
        self.add("admit", outcome, key=story.KEYS[number].hex(), now=AT, admissions=shown)

    def committed(self, number: int, deadline: int | None = None, **targets: _Target) -> None:
        """Let the hub have the epoch."""
        self.add("committed", look(number, deadline, **targets), now=AT)

    def vector(self, name: str) -> Vector:
        """Return the whole as a vector."""
        given = {
            "op": "creator",
            "secret": LAPTOP.secret.hex(),
            "client": LAPTOP.client,
            "seed": story.SEED.hex(),
            "mode": "synchronize",
            "profile": story.PROFILE,
            "kind": "mesh",
            "protocol": [VERSIONS.low, VERSIONS.high],
            "trusts": TRUSTED,
            "steps": self.steps,
        }
        return accepted(f"creator: {name}", given, {"outcomes": self.outcomes})


def look(number: int, deadline: int | None = None, **targets: _Target) -> Json:
    """Return what a creator knows: how far each called device is, and the epoch that counts."""
    return {
        "targets": {BY_NAME[name].client: list(state) for name, state in targets.items()},
        "next_deadline": deadline,
        "epoch": number,
    }


def made(epoch: Signed, admitted: list[CastDevice], sealed_to: list[CastDevice]) -> Json:
    """Return the outcome of an epoch that was made."""
    return {
        "epoch": signed(epoch),
        "sealed_to": [member.client for member in sealed_to],
        "admitted": [target.client for target in admitted],
    }


def again(target: CastDevice, name: str) -> story.AnsweredInvite:
    """Return another invite to a device, and its yes."""
    body = replace(story.invite_body(target), invite=invite_id(name))
    invite = sign(body, LAPTOP.key)
    invite_hash = hash_of(Kind.INVITE, invite)
    answer = sign(story.answer_body(body, invite_hash, target), target.key)
    return story.AnsweredInvite(body, invite, invite_hash, answer, hash_of(Kind.ANSWER, answer))


def no(call: story.AnsweredInvite, target: CastDevice, reason: Reason) -> Signed:
    """Return a device's refusal of an invite."""
    yes = story.answer_body(call.invite_body, call.invite_hash, target)
    return sign(replace(yes, receive_key=None, reason=reason), target.key)


def stories(told: story.Story) -> list[Vector]:
    """Return the lives of sessions, first at the creator."""
    return [_whole(told), _late(told), _given_up(told), _rejected(told), _slow(told), _taken_back(told), _full()]


NO_EPOCH: Json = {"epoch": None}


def _whole(told: story.Story) -> Vector:
    steps = CreatorScript()
    steps.add("look", refusal(Reason.SESSION_CLOSED))
    steps.add("key", refusal(Reason.SESSION_CLOSED))
    steps.add("begin", {"epoch": signed(told.epochs[0])}, key=story.KEYS[1].hex(), now=AT)
    steps.call(told.nas, NAS)
    steps.admit(2, NO_EPOCH)
    steps.committed(1, nas=ACCEPTED)
    steps.committed(1, nas=ACCEPTED)
    steps.answer(told.nas.answer, NAS, refusal(Reason.REPLAYED))
    steps.admit(2, made(told.epochs[1], [NAS], []), told.nas_admission)
    steps.admit(3, NO_EPOCH)
    _say_joined(steps, _about_epoch(told, 0), NAS, refusal(Reason.NOT_A_MEMBER))
    _say_joined(steps, told.nas_joined, NAS, {"state": None})
    _say_joined(steps, told.nas_joined, DESK, refusal(Reason.NOT_A_MEMBER))
    steps.committed(2, nas=JOINED)
    steps.add("key", {"key": story.KEYS[2].hex()})
    steps.admit(3, NO_EPOCH)
    steps.answer(told.nas.answer, NAS, refusal(Reason.MISMATCH))
    steps.answer(no(told.nas, NAS, Reason.DECLINED), NAS, refusal(Reason.MISMATCH))
    _desk_comes_and_nas_leaves(steps, told)
    return steps.vector("two devices join, one is silent, the other leaves")


def _say_joined(steps: CreatorScript, joined: Signed, sender: CastDevice, outcome: Json) -> None:
    steps.add("joined", outcome, joined=signed(joined), sender=sender.client)


def _about_epoch(told: story.Story, place: int) -> Signed:
    """Return what the nas says when it joins, but about another epoch."""
    return sign(replace(read(told.nas_joined, Joined), epoch=epoch_hash(told.epochs[place])), NAS.key)


def _say_leave(steps: CreatorScript, leave: Signed, sender: CastDevice, outcome: Json) -> None:
    steps.add("leave", outcome, leave=signed(leave), sender=sender.client)


def _desk_comes_and_nas_leaves(steps: CreatorScript, told: story.Story) -> None:
    steps.invite(told.desk, DESK)
    both = replace(story.answer_body(told.desk.invite_body, told.desk.invite_hash, DESK), reason=Reason.DECLINED)
    steps.answer(sign(both, DESK.key), DESK, refusal(Reason.MALFORMED))
    steps.answer(told.desk.answer, DESK, {"state": "accepted"})
    steps.admit(3, made(told.epochs[2], [DESK], [NAS]), told.desk_admission)
    deadline = AT + JOIN_DEADLINE_MS
    steps.committed(3, deadline, nas=JOINED, desk=ADMITTED)
    steps.answer(told.desk.answer, DESK, refusal(Reason.REPLAYED))
    _say_joined(steps, story.joined(NAS, told.epochs[2], None, receive_key("nas 3").public), NAS, {"state": None})
    waiting = look(3, deadline, nas=JOINED, desk=ADMITTED)
    steps.add("time", {"ended": [], **waiting}, now=deadline - 1)
    failed = ("refused", "join_failed", "device")
    steps.add("time", {"ended": [DESK.client], **look(3, nas=JOINED, desk=failed)}, now=deadline)
    _bad_leaves(steps)
    _say_leave(steps, told.nas_leave, NAS, {})
    once_more = again(DESK, "desk again")
    steps.call(once_more, DESK)
    steps.admit(4, made(told.epochs[3], [DESK], []))
    steps.committed(4, deadline, nas=JOINED, desk=ADMITTED)
    _say_leave(steps, told.nas_leave, NAS, refusal(Reason.NOT_A_MEMBER))


def _bad_leaves(steps: CreatorScript) -> None:
    body = read(story.leave(NAS), Leave)
    elsewhere = replace(body, session=session_id(DESK.client, story.SEED))
    _say_leave(steps, sign(elsewhere, NAS.key), NAS, refusal(Reason.MISMATCH))
    _say_leave(steps, sign(replace(body, member=LAPTOP.client), NAS.key), NAS, refusal(Reason.MISMATCH))
    other_key = replace(body, member_key=STRANGER.key.fingerprint)
    _say_leave(steps, sign(other_key, NAS.key), NAS, refusal(Reason.MISMATCH))
    _say_leave(steps, sign(body, NAS.key), STRANGER, refusal(Reason.NOT_A_MEMBER))
    unsigned = replace(sign(body, NAS.key), signature=Signature(bytes(64)))
    _say_leave(steps, unsigned, NAS, refusal(Reason.BAD_SIGNATURE, "signature"))


def _refused(reason: Reason, sayer: str) -> _Target:
    return ("refused", reason.value, sayer)


def _late(told: story.Story) -> Vector:
    """Let an invite end, and a device refuse and be called once more while the hub commits its admission."""
    steps = CreatorScript()
    steps.begin()
    end = told.nas.invite_body.expires_at
    steps.invite(told.nas, NAS)
    steps.add("time", {"ended": [], **look(1, end, nas=CALLED)}, now=end - 1)
    silent = _refused(Reason.NO_ANSWER, "device")
    steps.add("time", {"ended": [NAS.client], **look(1, nas=silent)}, now=end)
    steps.answer(told.nas.answer, NAS, refusal(Reason.MISMATCH))
    second, third = again(NAS, "nas again"), again(NAS, "nas a third time")
    steps.call(second, NAS)
    steps.invite(told.desk, DESK)
    first_join, second_join = _epoch(2, NAS), _epoch(3, NAS)
    steps.admit(2, made(first_join, [NAS], []))
    _say_joined(steps, told.nas_joined, DESK, refusal(Reason.NOT_A_MEMBER))
    steps.answer(no(second, NAS, Reason.CANNOT_OPEN), NAS, {"state": "refused"})
    steps.call(third, NAS)
    steps.committed(2, end, nas=ACCEPTED, desk=CALLED)
    steps.admit(3, made(second_join, [NAS], []))
    return steps.vector("an invite ends, and a device is called once more before the hub has its admission")


def _epoch(number: int, *others: CastDevice, previous: Signed | None = None) -> Signed:
    """Return an epoch that follows another, or else the one of the story."""
    previous = previous or story.epochs()[number - 2]
    members = tuple(EpochMember(device.client, device.key.fingerprint) for device in (LAPTOP, *others))
    return sign(story.epoch_body(number, epoch_hash(previous), members), LAPTOP.key)


def _given_up(told: story.Story) -> Vector:
    steps = CreatorScript()
    steps.begin()
    steps.call(told.nas, NAS)
    steps.admit(2, made(told.epochs[1], [NAS], []))
    steps.answer(no(told.nas, NAS, Reason.CANNOT_OPEN), NAS, {"state": "refused"})
    _say_joined(steps, told.nas_joined, NAS, refusal(Reason.NOT_A_MEMBER))
    gone = _refused(Reason.CANNOT_OPEN, "peer")
    steps.committed(2, nas=gone)
    steps.call(told.desk, DESK)
    steps.admit(3, made(_epoch(3, DESK), [DESK], []))
    steps.committed(3, AT + JOIN_DEADLINE_MS, nas=gone, desk=ADMITTED)
    return steps.vector("a device gives up before the hub has its admission")


def _rejected(told: story.Story) -> Vector:
    """Let the hub refuse an epoch for a device that waits, for one that it does not know, then for a member."""
    steps = CreatorScript()
    steps.begin()
    steps.call(told.nas, NAS)
    steps.call(told.desk, DESK)
    steps.admit(2, made(_epoch(2, NAS, DESK), [NAS, DESK], []))
    offline = _refused(Reason.OFFLINE, "hub")
    reasons = {DESK.client: "offline", STRANGER.client: "offline"}
    steps.add("rejected", look(1, nas=ACCEPTED, desk=offline), reasons=reasons, now=AT)
    declined = no(told.desk, DESK, Reason.DECLINED)
    steps.answer(told.desk.answer, DESK, refusal(Reason.MISMATCH))
    steps.answer(declined, DESK, {"state": "refused"})
    steps.answer(declined, DESK, refusal(Reason.MISMATCH))
    steps.admit(2, made(told.epochs[1], [NAS], []), told.nas_admission)
    deadline = AT + JOIN_DEADLINE_MS
    steps.committed(2, deadline, nas=ADMITTED, desk=_refused(Reason.DECLINED, "peer"))
    second = again(DESK, "desk again")
    steps.call(second, DESK)
    steps.admit(3, made(told.epochs[2], [DESK], [NAS]))
    _say_joined(steps, told.nas_joined, NAS, {"state": "joined"})
    blocked = look(2, AT + FIRST_RETRY_MS, nas=JOINED, desk=ACCEPTED)
    steps.add("rejected", blocked, reasons={NAS.client: "device_revoked"}, now=AT)
    steps.admit(3, NO_EPOCH)
    earlier = replace(read(told.nas_leave, Leave), at=TimeMs(read(told.nas.answer, Answer).at - 1))
    _say_leave(steps, sign(earlier, NAS.key), NAS, refusal(Reason.REPLAYED))
    steps.admit(3, NO_EPOCH)
    _say_leave(steps, told.nas_leave, NAS, {})
    steps.admit(3, made(_epoch(3, DESK), [DESK], []))
    return steps.vector("the hub rejects an epoch for one device, then denies a member, which blocks until it leaves")


def _slow(told: story.Story) -> Vector:
    """Let a device say that it joined after another was admitted: at first by the later epoch."""
    steps = CreatorScript()
    steps.begin()
    steps.call(told.nas, NAS)
    steps.admit(2, made(told.epochs[1], [NAS], []), told.nas_admission)
    deadline = AT + JOIN_DEADLINE_MS
    steps.committed(2, deadline, nas=ADMITTED)
    steps.call(told.desk, DESK)
    steps.admit(3, made(told.epochs[2], [DESK], [NAS]), told.desk_admission)
    steps.committed(3, deadline, nas=ADMITTED, desk=ADMITTED)
    _say_joined(steps, _about_epoch(told, 2), NAS, refusal(Reason.MISMATCH))
    _say_joined(steps, told.nas_joined, NAS, {"state": "joined"})
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
    steps.add("look", look(1, nas=_refused(Reason.KEY_MISMATCH, "device")))
    steps.add("own", {}, trusts=TRUSTED)
    steps.call(told.nas, NAS)
    steps.admit(2, made(told.epochs[1], [NAS], []), told.nas_admission)
    steps.committed(2, AT + JOIN_DEADLINE_MS, nas=ADMITTED)
    _say_joined(steps, told.nas_joined, NAS, {"state": "joined"})
    steps.add("own", {}, trusts=desk)
    steps.admit(3, NO_EPOCH)
    steps.add("look", look(2, nas=JOINED))
    steps.add("own", {}, trusts=TRUSTED)
    steps.invite(told.desk, DESK)
    steps.answer(told.desk.answer, DESK, {"state": "accepted"})
    steps.add("own", {}, trusts=nas)
    steps.admit(3, NO_EPOCH)
    steps.add("look", look(2, nas=JOINED, desk=_refused(Reason.NOT_TRUSTED, "device")))
    steps.add("own", {}, trusts=TRUSTED)
    steps.call(told.desk, DESK)
    steps.admit(3, made(told.epochs[2], [DESK], [NAS]), told.desk_admission)
    steps.committed(3, AT + JOIN_DEADLINE_MS, nas=JOINED, desk=ADMITTED)
    steps.add("own", {}, trusts={STRANGER.client: STRANGER.key.fingerprint.hex()} | other)
    steps.call(story.called(STRANGER), STRANGER)
    steps.admit(4, made(_epoch(4, STRANGER), [STRANGER], []))
    nas_gone, desk_gone = (_refused(reason, "device") for reason in (Reason.KEY_MISMATCH, Reason.NOT_TRUSTED))
    steps.add("look", look(3, nas=nas_gone, desk=desk_gone, stranger=ACCEPTED))
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
    second = _epoch(2, *early)
    steps.admit(2, made(second, early, []))
    steps.add("committed", _states(2, {ADMITTED: early}), now=AT)
    _call_all(steps, late)
    steps.add("own", {}, trusts={client: key for client, key in trusts.items() if client != lost.client})
    kept, newest = early[:13], late[:2]
    third = _epoch(3, *kept, *newest, previous=second)
    steps.admit(3, made(third, newest, _in_order(kept)))
    gone = {_refused(Reason.NOT_TRUSTED, "device"): [lost], _refused(Reason.TOO_MANY_TARGETS, "device"): late[2:]}
    steps.add("committed", _states(3, {ADMITTED: [*kept, *newest]} | gone), now=AT)
    outside = again(late[2], "no room")
    key = public(late[2].key.public)
    steps.add("invite", refusal(Reason.TOO_MANY_TARGETS), invite=signed(outside.invite), target_key=key)
    steps.call(again(early[0], "room for a member"), early[0])
    rest = _in_order([*kept[1:], *newest])
    steps.admit(4, made(_epoch(4, *kept, *newest, previous=third), early[:1], rest))
    return steps.vector("a session is full, and has room for its own member")


def _call_all(steps: CreatorScript, guests: list[CastDevice]) -> None:
    for guest in guests:
        steps.call(again(guest, guest.name), guest)


def _in_order(guests: list[CastDevice]) -> list[CastDevice]:
    """Return devices in the order in which an epoch names them."""
    return sorted(guests, key=lambda guest: guest.client)


def _states(number: int, states: dict[_Target, list[CastDevice]]) -> Json:
    targets = {guest.client: list(state) for state, guests in states.items() for guest in guests}
    return look(number, AT + JOIN_DEADLINE_MS) | {"targets": targets}
