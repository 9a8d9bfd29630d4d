"""stories.json: a creator whose hub keeps back its replies, or says what it should not (SPEC.md sections 7 and 8)."""

from muster_protocol.calls import FIRST_RETRY_MS
from muster_protocol.epochs import epoch_hash
from muster_protocol.exchange import JOIN_DEADLINE_MS
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.recalls import FIRST_RECALL_MS, MAX_RECALLS
from vectors.topics import story
from vectors.topics.cast import DESK, NAS, STRANGER, CastDevice
from vectors.topics.creator_script import (
    ACCEPTED,
    ADMITTED,
    AT,
    JOINED,
    NO_EPOCH,
    TRUSTED,
    CreatorScript,
    again,
    epoch,
    look,
    made,
    no,
    was_refused,
)
from vectors.topics.forms import Vector, signed
from vectors.topics.membership_stories import DEADLINE, nas_in


def hub_word_stories(told: story.Story) -> list[Vector]:
    """Return lives of sessions at their creator that rest on no word of the hub."""
    return [
        _reply_lost(told),
        _asked_again(told),
        _member_distrusted(told),
        _member_leaves(told),
        _newcomer_changes(told),
        _resumed(told),
        _resumed_after_a_call(told),
    ]


def _reply_lost(told: story.Story) -> Vector:
    """Let the hub's reply be lost: the same epoch again, until the creator would not make it any more."""
    steps = CreatorScript()
    steps.begin()
    refused = was_refused(Reason.NOT_TRUSTED, Sayer.DEVICE)
    lost, later = epoch(2, NAS), epoch(3, NAS, after=1)
    for number, new, committed in ((2, lost, False), (3, later, True)):
        steps.call(told.nas, NAS)
        steps.admit(number, made(new, [NAS], []))
        steps.add("again", {"epoch": signed(new)}, now=AT)
        steps.add("own", {}, trusts={DESK.client: TRUSTED[DESK.client]})
        steps.add("again", NO_EPOCH, now=AT)
        epochs = [epoch_hash(new).hex()] if committed else []
        shown = look(3, nas=refused) if committed else look(1, nas=ACCEPTED)
        steps.add("shown", shown, epochs=epochs, now=AT)
        steps.add("again", NO_EPOCH, now=AT)
        steps.admit(4, NO_EPOCH)
        steps.add("look", look(3 if committed else 1, nas=refused))
        steps.add("own", {}, trusts=TRUSTED)
    steps.call(told.desk, DESK)
    steps.admit(4, made(epoch(4, DESK, previous=later), [DESK], []))
    return steps.vector("the reply to an epoch is lost, and the creator trusts its newcomer no more")


def _asked_again(told: story.Story) -> Vector:
    """Let no reply come: the hub is asked again after a while, each time twice as long as before."""
    steps = CreatorScript()
    steps.begin()
    steps.add("unanswered", look(1), now=AT)
    steps.call(told.nas, NAS)
    steps.admit(2, made(told.epochs[1], [NAS], []))
    steps.add("unanswered", look(1, AT + FIRST_RETRY_MS, nas=ACCEPTED), now=AT)
    later = AT + FIRST_RETRY_MS
    steps.add("unanswered", look(1, later + 2 * FIRST_RETRY_MS, nas=ACCEPTED), now=later)
    steps.committed(look(2, DEADLINE, nas=ADMITTED))
    steps.add("shown", look(2, DEADLINE, nas=ADMITTED), epochs=[], now=AT)
    steps.call(told.desk, DESK)
    steps.admit(3, made(told.epochs[2], [DESK], [NAS]))
    steps.add("look", look(2, DEADLINE, nas=ADMITTED, desk=ACCEPTED))
    return steps.vector("no reply to an epoch comes, and the hub is asked again")


def _next_epoch(told: story.Story) -> CreatorScript:
    """Return the steps to an epoch under way that keeps the nas and admits the desk."""
    steps = nas_in(told)
    steps.call(told.desk, DESK)
    steps.admit(3, made(told.epochs[2], [DESK], [NAS]))
    steps.add("again", {"epoch": signed(told.epochs[2])}, now=AT)
    return steps


def _member_distrusted(told: story.Story) -> Vector:
    steps = _next_epoch(told)
    steps.add("own", {}, trusts={DESK.client: TRUSTED[DESK.client]})
    steps.add("again", NO_EPOCH, now=AT)
    gone = was_refused(Reason.NOT_TRUSTED, Sayer.DEVICE)
    epochs = [epoch_hash(told.epochs[2]).hex()]
    steps.add("shown", look(3, DEADLINE, joined=(NAS,), nas=gone, desk=ADMITTED), epochs=epochs, now=AT)
    strangers = {device.client: device.key.fingerprint.hex() for device in (DESK, STRANGER)}
    steps.add("own", {}, trusts=strangers)
    steps.call(story.called(STRANGER), STRANGER)
    steps.admit(4, made(epoch(4, DESK, STRANGER), [STRANGER], [DESK]))
    return steps.vector("the reply to an epoch is lost, and the creator trusts a member of it no more")


def _member_leaves(told: story.Story) -> Vector:
    steps = _next_epoch(told)
    steps.leave(told.nas_leave, NAS, {})
    steps.add("again", NO_EPOCH, now=AT)
    steps.add("shown", look(2, nas=JOINED, desk=ACCEPTED), epochs=[epoch_hash(told.epochs[1]).hex()], now=AT)
    steps.admit(4, made(epoch(4, DESK, after=2), [DESK], []))
    return steps.vector("the reply to an epoch is lost, and a member of it leaves")


def _newcomer_changes(told: story.Story) -> Vector:
    steps = _next_epoch(told)
    steps.answer(no(told.desk, DESK, Reason.CANNOT_OPEN), DESK, {"state": "refused"})
    steps.add("again", NO_EPOCH, now=AT)
    steps.call(again(DESK, "desk again"), DESK)
    steps.add("again", NO_EPOCH, now=AT)
    steps.add("shown", look(2, nas=JOINED, desk=ACCEPTED), epochs=[], now=AT)
    steps.admit(4, made(epoch(4, NAS, DESK, after=2), [DESK], [NAS]))
    return steps.vector("the reply to an epoch is lost, and its newcomer is called again")


def _resumed(told: story.Story) -> Vector:
    """Let the hub say again and again that a member lost its key."""
    steps = CreatorScript()
    steps.begin()
    _say_resume(steps, NAS, wanted=False)
    steps.invite(told.nas, NAS)
    _say_resume(steps, NAS, wanted=False)
    steps.answer(told.nas.answer, NAS, {"state": "accepted"})
    steps.admit(2, made(told.epochs[1], [NAS], []), told.nas_admission)
    _say_resume(steps, NAS, wanted=True)
    steps.add("recalls", {"clients": [NAS.client]}, now=AT)
    steps.add("recalls", {"clients": []}, now=AT)
    steps.committed(look(2, AT + JOIN_DEADLINE_MS, nas=ADMITTED))
    now = AT
    for made_before in range(1, MAX_RECALLS):
        _say_resume(steps, NAS, wanted=True)
        due = now + (FIRST_RECALL_MS << made_before - 1)
        steps.add("recalls", {"clients": []}, now=due - 1)
        steps.add("look", look(2, min(due, AT + JOIN_DEADLINE_MS), nas=ADMITTED))
        steps.add("recalls", {"clients": [NAS.client]}, now=due)
        now = due
    _say_resume(steps, NAS, wanted=False)
    steps.joined(told.nas_joined, NAS, {"state": "joined"})
    _say_resume(steps, NAS, wanted=False)
    steps.add("renew", {}, client=NAS.client)
    _say_resume(steps, NAS, wanted=True)
    steps.leave(told.nas_leave, NAS, {})
    steps.add("recalls", {"clients": []}, now=now)
    _say_resume(steps, NAS, wanted=False)
    return steps.vector("the hub says that a member lost its key, more often than the creator believes it")


def _resumed_after_a_call(told: story.Story) -> Vector:
    """Let a member be called again: whether the hub may ask for more depends on whose word ended the call."""
    steps = nas_in(told)
    steps.invite(told.desk, DESK)
    offline = was_refused(Reason.OFFLINE, Sayer.HUB)
    steps.ended(DESK, Reason.OFFLINE, look(2, nas=JOINED, desk=offline))
    _say_resume(steps, DESK, wanted=False)
    words = {
        Reason.OFFLINE: (Sayer.HUB, True),
        Reason.NO_ANSWER: (Sayer.DEVICE, True),
        Reason.CANCELLED: (Sayer.DEVICE, False),
    }
    for reason, (sayer, wanted) in words.items():
        second = again(NAS, f"nas before {reason.value}")
        steps.invite(second, NAS)
        _say_resume(steps, NAS, wanted=False)
        steps.ended(NAS, reason, look(2, joined=(NAS,), nas=was_refused(reason, sayer), desk=offline), sayer)
        _say_resume(steps, NAS, wanted=wanted)
        steps.add("renew", {}, client=NAS.client)
    return steps.vector("the hub says that a member lost its key, after calls that ended")


def _say_resume(steps: CreatorScript, member: CastDevice, *, wanted: bool) -> None:
    steps.add("resume", {"wanted": wanted}, client=member.client)
