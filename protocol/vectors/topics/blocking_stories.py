"""stories.json: the hub refuses an epoch, for a member or for a device that waits (SPEC.md sections 7.4 and 8.5)."""

from muster_protocol.calls import FIRST_RETRY_MS, LONGEST_RETRY_MS
from muster_protocol.reasons import Reason, Sayer
from vectors.topics import story
from vectors.topics.cast import DESK, NAS
from vectors.topics.creator_script import (
    ACCEPTED,
    ADMITTED,
    AT,
    CALLED,
    JOINED,
    NO_EPOCH,
    CreatorScript,
    again,
    epoch,
    look,
    made,
    no,
    was_refused,
)
from vectors.topics.forms import Vector
from vectors.topics.membership_stories import DEADLINE, nas_in

GONE = Reason.NOT_A_MEMBER


def blocking_stories(told: story.Story) -> list[Vector]:
    """Return lives of sessions with epochs that the hub refuses."""
    return [_waits(told), _nobody_waits(told), _comes_again(told), _denied(told), _others_named(told)]


def _waits(told: story.Story) -> Vector:
    """Let the hub deny a member again and again: each wait is twice as long as the one before, up to a minute."""
    steps = nas_in(told)
    steps.call(told.desk, DESK)
    now, wait = AT, FIRST_RETRY_MS
    for number in range(3, 10):
        steps.admit(number, made(epoch(number, NAS, DESK, after=2, at=now), [DESK], [NAS]), now=now)
        steps.rejected(look(2, now + wait, blocked={NAS: GONE}, nas=JOINED, desk=ACCEPTED), nas=GONE, now=now)
        steps.admit(number, NO_EPOCH, now=now + wait - 1)
        now, wait = now + wait, min(2 * wait, LONGEST_RETRY_MS)
    newest = epoch(10, NAS, DESK, after=2, at=now)
    steps.admit(10, made(newest, [DESK], [NAS]), now=now)
    steps.add("look", look(2, blocked={NAS: GONE}, nas=JOINED, desk=ACCEPTED))
    steps.committed(look(10, DEADLINE, nas=JOINED, desk=ADMITTED))
    return steps.vector("the hub denies a member time and again, then no longer")


def _nobody_waits(told: story.Story) -> Vector:
    """Deny a member, then end the call of the only device that waits: there is no time to try again until one waits."""
    steps = nas_in(told)
    steps.call(told.desk, DESK)
    steps.admit(3, made(epoch(3, NAS, DESK), [DESK], [NAS]))
    steps.rejected(look(2, AT + FIRST_RETRY_MS, blocked={NAS: GONE}, nas=JOINED, desk=ACCEPTED), nas=GONE)
    offline = was_refused(Reason.OFFLINE, Sayer.HUB)
    steps.ended(DESK, Reason.OFFLINE, look(2, blocked={NAS: GONE}, nas=JOINED, desk=offline))
    second = again(DESK, "desk again")
    steps.invite(second, DESK)
    end = second.invite_body.expires_at
    steps.add("look", look(2, end, blocked={NAS: GONE}, nas=JOINED, desk=CALLED))
    steps.answer(second.answer, DESK, {"state": "accepted"})
    steps.add("look", look(2, AT + FIRST_RETRY_MS, blocked={NAS: GONE}, nas=JOINED, desk=ACCEPTED))
    return steps.vector("the hub denies a member, and the call of the device that waits ends")


def _comes_again(told: story.Story) -> Vector:
    """Deny a member, which accepts a new call; then deny that, then the member again, which refuses the call."""
    steps = nas_in(told)
    steps.call(told.desk, DESK)
    steps.admit(3, made(epoch(3, NAS, DESK), [DESK], [NAS]))
    steps.rejected(look(2, AT + FIRST_RETRY_MS, blocked={NAS: GONE}, nas=JOINED, desk=ACCEPTED), nas=GONE)
    second = again(NAS, "nas again")
    steps.invite(second, NAS)
    calling = look(2, AT + FIRST_RETRY_MS, joined=(NAS,), blocked={NAS: GONE}, nas=CALLED, desk=ACCEPTED)
    steps.add("look", calling)
    steps.admit(3, NO_EPOCH)
    steps.answer(second.answer, NAS, {"state": "accepted"})
    steps.add("look", look(2, joined=(NAS,), nas=ACCEPTED, desk=ACCEPTED))
    steps.admit(4, made(epoch(4, NAS, DESK, after=2), [DESK, NAS], []))
    offline = was_refused(Reason.OFFLINE, Sayer.HUB)
    steps.rejected(look(2, joined=(NAS,), nas=offline, desk=ACCEPTED), nas=Reason.OFFLINE)
    steps.admit(5, made(epoch(5, NAS, DESK, after=2), [DESK], [NAS]))
    later = AT + 2 * FIRST_RETRY_MS
    steps.rejected(look(2, later, joined=(NAS,), blocked={NAS: GONE}, nas=offline, desk=ACCEPTED), nas=GONE)
    steps.admit(6, NO_EPOCH)
    steps.answer(no(second, NAS, Reason.DECLINED), NAS, {"state": "refused"})
    declined = was_refused(Reason.DECLINED, Sayer.PEER)
    steps.add("look", look(2, later, joined=(NAS,), blocked={NAS: GONE}, nas=declined, desk=ACCEPTED))
    steps.admit(6, NO_EPOCH)
    return steps.vector("the hub denies a member, which is called again, accepts, and then refuses")


def _denied(told: story.Story) -> Vector:
    """Let the hub name devices whose calls went on meanwhile, or that are in no epoch under way."""
    steps = CreatorScript()
    steps.begin()
    steps.call(told.nas, NAS)
    steps.rejected(look(1, nas=ACCEPTED), nas=GONE)
    steps.admit(2, made(told.epochs[1], [NAS], []))
    steps.rejected(look(1, nas=ACCEPTED))
    steps.admit(3, made(epoch(3, NAS, after=1), [NAS], []))
    steps.answer(no(told.nas, NAS, Reason.DECLINED), NAS, {"state": "refused"})
    declined = was_refused(Reason.DECLINED, Sayer.PEER)
    steps.rejected(look(1, nas=declined), nas=Reason.OFFLINE)
    second, third = again(NAS, "nas again"), again(NAS, "nas a third time")
    steps.call(second, NAS)
    steps.admit(4, made(epoch(4, NAS, after=1), [NAS], []))
    steps.answer(no(second, NAS, Reason.CANNOT_OPEN), NAS, {"state": "refused"})
    steps.call(third, NAS)
    steps.rejected(look(1, nas=ACCEPTED), nas=Reason.OFFLINE)
    steps.invite(told.desk, DESK)
    end = told.desk.invite_body.expires_at
    steps.admit(5, made(epoch(5, NAS, after=1), [NAS], []))
    steps.rejected(look(1, end, nas=was_refused(GONE, Sayer.HUB), desk=CALLED), desk=GONE)
    steps.answer(told.desk.answer, DESK, {"state": "accepted"})
    steps.admit(6, made(epoch(6, DESK, after=1), [DESK], []))
    gone = was_refused(GONE, Sayer.HUB)
    steps.rejected(look(1, nas=gone, desk=gone), laptop=GONE)
    return steps.vector("the hub denies devices whose calls went on, then none that the next epoch could do without")


def _others_named(told: story.Story) -> Vector:
    steps = nas_in(told)
    steps.leave(told.nas_leave, NAS, {})
    steps.call(told.desk, DESK)
    steps.admit(3, made(epoch(3, DESK), [DESK], []))
    steps.rejected(look(2, nas=JOINED, desk=was_refused(GONE, Sayer.HUB)), nas=GONE)
    return steps.vector("the hub refuses an epoch because of a member that is not in it")
