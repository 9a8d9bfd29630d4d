"""A member that goes by a statement which the creator cannot verify, so that the creator admits no device any more."""

from msgspec.structs import replace
from tests.attacks.stored import changed, stored
from tests.integration.hub.desk import Desk
from tests.integration.hub.device import now_ms
from tests.integration.hub.sessions.test_sessions import leave
from tests.integration.hub.stage import Actor, actor, befriend, call_in, invite_and_answer

from muster_hub.node import outbox
from muster_protocol.cards import MAX_ROTATIONS
from muster_protocol.epochs import epoch_hash
from muster_protocol.frames import Admitted, GetCard, LeavePush, Ok, SendAnswer, SendLeave, SessionKind
from muster_protocol.ids import ClientId, Signature
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason


def unsigned(who: Actor, creator: Actor) -> SendLeave:
    request = leave(who, creator.session)
    return replace(request, leave=replace(request.leave, signature=Signature(bytes(64))))


async def test_no_leave_that_does_not_verify_takes_a_member_out(desk: Desk) -> None:
    ann, bob, dan = [await actor(desk) for _ in range(3)]
    await befriend(ann, bob, dan)
    await ann.create()
    await call_in(ann, bob)
    before = await stored(desk)
    assert (await bob.refused(unsigned(bob, ann))).reason is Reason.BAD_SIGNATURE
    assert changed(before, await stored(desk)) == set()
    assert ann.line.waiting(LeavePush) == []
    await call_in(ann, dan)


async def test_no_old_leave_that_does_not_verify_counts_as_said_again(desk: Desk) -> None:
    ann, bob = [await actor(desk) for _ in range(2)]
    await befriend(ann, bob)
    await ann.create()
    await call_in(ann, bob)
    await bob.ask(leave(bob, ann.session), Ok)
    assert (await bob.refused(unsigned(bob, ann))).reason is Reason.BAD_SIGNATURE


async def test_no_leave_of_an_earlier_membership_takes_a_member_out(desk: Desk) -> None:
    ann, bob, dan = [await actor(desk) for _ in range(3)]
    await befriend(ann, bob, dan)
    await ann.create()
    first = leave(bob, ann.session)
    await call_in(ann, bob)
    before = await stored(desk)
    assert (await bob.refused(first)).reason is Reason.REPLAYED
    assert changed(before, await stored(desk)) == set()
    assert ann.line.waiting(LeavePush) == []
    await call_in(ann, dan)
    second = leave(bob, ann.session)
    await bob.ask(second, Ok)
    await bob.ask(second, Ok)
    ann.inviting.on_departure(Kind.LEAVE, second.leave, bob.client)
    await call_in(ann, bob)
    assert (await bob.refused(second)).reason is Reason.REPLAYED


async def test_no_untrust_that_is_older_than_the_answer_keeps_a_creator_from_the_next_epoch(desk: Desk) -> None:
    ann, bob, dan = [await actor(desk) for _ in range(3)]
    await befriend(ann, bob, dan)
    kept_back = bob.device.untrust(ann.device)
    await ann.create()
    await call_in(ann, bob)
    await bob.say(kept_back)
    await call_in(ann, dan)
    await bob.say(bob.device.trust(ann.device), bob.device.untrust(ann.device))
    assert [each.client for each in (await ann.show(ann.session)).departures] == [bob.client]


async def test_a_member_whose_key_changed_keeps_no_creator_from_the_next_epoch(desk: Desk) -> None:
    """The hub deleted all trust of the earlier key, and the member states none again: it shows no card of it."""
    ann, bob, cat, dan = [await actor(desk) for _ in range(4)]
    await befriend(ann, bob, cat, dan)
    await ann.create()
    await call_in(ann, bob, cat)
    for each, keys in ((bob, MAX_ROTATIONS), (cat, 1)):
        for _ in range(keys):
            each.device.rotate()
        each.line = await desk.seat(each.device)
        assert (await ann.refused(GetCard(id=1, client=each.client))).reason is Reason.NOT_MUTUALLY_TRUSTED
    for node in desk.all:
        await outbox.run_once(node.hub, min_age_ms=0)
    gone: set[ClientId] = set()
    while gone != {bob.client, cat.client}:  # a long chain leaves no place for both in one reply
        for shown in (await ann.show(ann.session)).departures:
            ann.inviting.on_departure(shown.kind, shown.statement, shown.client)
            gone.add(shown.client)
    await call_in(ann, dan)


async def test_no_two_members_keep_a_creator_that_missed_a_reply_from_the_next_epoch(desk: Desk) -> None:
    """One refuses the seat that an epoch gave it, of which the creator does not know yet, and the other untrusts it."""
    ann, bob, cat, dan = [await actor(desk) for _ in range(4)]
    await befriend(ann, bob, cat, dan)
    await ann.create(kind=SessionKind.MESH)
    await call_in(ann, bob)
    [joining] = await invite_and_answer(ann, cat)
    assert not (await ann.ask(ann.admission(), Admitted)).rejected
    await bob.say(bob.device.untrust(cat.device))
    await cat.ask(SendAnswer(id=1, answer=joining.refuse(Reason.CANNOT_OPEN, now_ms())), Ok)
    await ann.take_answer()
    assert ann.inviting.again(now_ms()) is None
    shown = await ann.show(ann.session, after=ann.inviting.epoch.epoch.number)
    ann.inviting.shown({epoch_hash(each) for each in shown.epochs}, now_ms())
    [gone] = shown.departures
    ann.inviting.on_departure(gone.kind, gone.statement, gone.client)
    await call_in(ann, dan)
    assert bob.client not in ann.inviting.epoch.epoch.clients
