"""stories.json: a creator whose hub keeps back its replies, or says what it should not (SPEC.md sections 7 and 8)."""

from muster_protocol.epochs import epoch_hash
from muster_protocol.exchange import JOIN_DEADLINE_MS
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.recalls import FIRST_RECALL_MS, MAX_RECALLS
from vectors.topics import story
from vectors.topics.cast import DESK, NAS, CastDevice
from vectors.topics.creator_script import (
    ACCEPTED,
    ADMITTED,
    AT,
    NO_EPOCH,
    TRUSTED,
    CreatorScript,
    epoch,
    look,
    made,
    was_refused,
)
from vectors.topics.forms import Vector, signed


def hub_word_stories(told: story.Story) -> list[Vector]:
    """Return lives of sessions at their creator that rest on no word of the hub."""
    return [_reply_lost(told), _resumed(told)]


def _reply_lost(told: story.Story) -> Vector:
    """Let the hub's reply be lost: the same epoch again, until the creator would not make it any more."""
    steps = CreatorScript()
    steps.begin()
    refused = was_refused(Reason.NOT_TRUSTED, Sayer.DEVICE)
    for committed in (False, True):
        steps.call(told.nas, NAS)
        steps.admit(2, made(told.epochs[1], [NAS], []))
        steps.add("again", {"epoch": signed(told.epochs[1])}, now=AT)
        steps.add("own", {}, trusts={DESK.client: TRUSTED[DESK.client]})
        steps.add("again", NO_EPOCH, now=AT)
        epochs = [epoch_hash(told.epochs[1]).hex()] if committed else []
        shown = look(2, nas=refused) if committed else look(1, nas=ACCEPTED)
        steps.add("shown", shown, epochs=epochs, now=AT)
        steps.add("again", NO_EPOCH, now=AT)
        steps.admit(3, NO_EPOCH)
        steps.add("look", look(2 if committed else 1, nas=refused))
        steps.add("own", {}, trusts=TRUSTED)
    steps.call(told.desk, DESK)
    steps.admit(3, made(epoch(3, DESK), [DESK], []))
    return steps.vector("the reply to an epoch is lost, and the creator trusts its newcomer no more")


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


def _say_resume(steps: CreatorScript, member: CastDevice, *, wanted: bool) -> None:
    steps.add("resume", {"wanted": wanted}, client=member.client)
