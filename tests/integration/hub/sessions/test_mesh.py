"""In a mesh all members trust each other, pairwise, in any order of joins."""

from tests.integration.hub.desk import Desk
from tests.integration.hub.stage import actor, befriend, call_in, invite_and_answer

from muster_protocol.frames import Admitted, MemberState, SessionKind
from muster_protocol.reasons import Reason


async def test_members_of_a_mesh_trust_each_other(desk: Desk) -> None:
    ann, bob, dan = [await actor(desk) for _ in range(3)]
    await befriend(ann, bob, dan)
    session = await ann.create(kind=SessionKind.MESH)
    await call_in(ann, bob, dan)
    assert bob.joining[session].epoch.hash == dan.joining[session].epoch.hash


async def test_a_device_that_a_member_does_not_trust_is_not_called_into_a_mesh(desk: Desk) -> None:
    ann, bob, dan = [await actor(desk) for _ in range(3)]
    await befriend(ann, bob)
    await befriend(ann, dan)
    await ann.create(kind=SessionKind.MESH)
    await call_in(ann, bob)
    assert [result.reason for result in (await ann.call(dan)).results] == [Reason.NOT_MUTUALLY_TRUSTED]
    await bob.trust(dan)
    assert [result.reason for result in (await ann.call(dan)).results] == [Reason.NOT_MUTUALLY_TRUSTED]
    await dan.trust(bob)
    assert [result.reason for result in (await ann.call(dan)).results] == [None]


async def test_the_same_devices_may_meet_in_a_star(desk: Desk) -> None:
    ann, bob, dan = [await actor(desk) for _ in range(3)]
    await befriend(ann, bob)
    await befriend(ann, dan)
    await ann.create(kind=SessionKind.STAR)
    await call_in(ann, bob, dan)


async def test_newcomers_of_one_admission_must_trust_each_other_too(desk: Desk) -> None:
    ann, bob, dan, eve = [await actor(desk) for _ in range(4)]
    await befriend(ann, bob, dan)
    await befriend(ann, eve)
    await ann.create(kind=SessionKind.MESH)
    await invite_and_answer(ann, bob, eve, dan)
    rejected = (await ann.admit()).rejected
    assert [(each.client, each.reason) for each in rejected] == [(eve.client, Reason.NOT_MUTUALLY_TRUSTED)]
    assert not (await ann.admit()).rejected
    await bob.join()
    await dan.join()


async def test_a_member_that_is_restricted_between_hold_and_commit_stops_the_join(desk: Desk) -> None:
    ann, bob, dan = [await actor(desk) for _ in range(3)]
    await befriend(ann, bob, dan)
    await ann.create(kind=SessionKind.MESH)
    await call_in(ann, bob)
    await invite_and_answer(ann, dan)

    async def restrict() -> None:
        await bob.say(bob.device.untrust(dan.device))

    desk.store.before["commit"] = restrict
    rejected = (await ann.ask(ann.admission(), Admitted)).rejected
    assert [(each.client, each.reason) for each in rejected] == [(dan.client, Reason.NOT_MUTUALLY_TRUSTED)]


async def test_a_member_that_trusts_another_no_longer_is_out_itself(desk: Desk) -> None:
    ann, bob, dan = [await actor(desk) for _ in range(3)]
    await befriend(ann, bob, dan)
    await ann.create(kind=SessionKind.MESH)
    await call_in(ann, bob, dan)
    await bob.say(bob.device.untrust(dan.device))
    states = {member.client: member.state for member in (await ann.show(ann.session)).members}
    assert states == {ann.client: MemberState.JOINED, bob.client: MemberState.OUT, dan.client: MemberState.JOINED}


async def test_mesh_members_trust_each_other_pairwise(desk: Desk) -> None:
    """Sixteen devices, half of the pairs without trust, all called at once."""
    creator, *others = [await actor(desk) for _ in range(16)]
    for other in others:
        await befriend(creator, other)
    for place, one in enumerate(others):
        await one.trust(*(other for at, other in enumerate(others) if other is not one and (place + at) % 2 == 0))
    await creator.create(kind=SessionKind.MESH)
    await invite_and_answer(creator, *others)
    rejected = {each.client for each in (await creator.admit()).rejected}
    assert rejected == {other.client for place, other in enumerate(others) if place % 2}
    assert not (await creator.admit()).rejected
    for other in others[::2]:
        await other.join()
