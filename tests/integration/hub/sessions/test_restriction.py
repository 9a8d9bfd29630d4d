"""Restrictions against joins: in any order of steps, nothing commits after an acknowledged restriction."""

import os
from collections.abc import Awaitable, Callable

import pytest
from tests.integration.hub.desk import Desk, DeskSeat
from tests.integration.hub.device import now_ms
from tests.integration.hub.stage import Actor, actor, befriend, call_in, invite_and_answer

from muster_hub.node import outbox
from muster_hub.sessions import joins
from muster_hub.store.errors import StoreCause, StoreUnavailable
from muster_protocol.cards import Mode
from muster_protocol.frames import AdmissionPush, Admitted, MemberState, SessionUpdatePush
from muster_protocol.ids import GrantId
from muster_protocol.reasons import Reason

GRANT = GrantId(bytes(range(16)))


async def untrust(one: Actor, other: Actor) -> None:
    await one.say(one.device.untrust(other.device))


async def revoke(one: Actor, other: Actor) -> None:
    await one.say(one.device.revocation(other.device, GRANT))


async def shorten(one: Actor, other: Actor) -> None:
    await one.say(one.device.grant(other.device, lasts_ms=1))


async def pin_another_key(one: Actor, other: Actor) -> None:
    await one.say(one.device.trust(other.device, fingerprint=type(other.device.fingerprint)(os.urandom(32))))


Restriction = Callable[[Actor, Actor], Awaitable[None]]
RESTRICTIONS: list[tuple[Restriction, Reason, Reason]] = [
    (untrust, Reason.NOT_TRUSTED, Reason.NOT_MUTUALLY_TRUSTED),
    (revoke, Reason.GRANT_REVOKED, Reason.GRANT_REVOKED),
    (shorten, Reason.GRANT_EXPIRED, Reason.GRANT_EXPIRED),
    (pin_another_key, Reason.KEY_MISMATCH, Reason.KEY_MISMATCH),
]


async def crash() -> None:
    raise StoreUnavailable(StoreCause.LOST, outcome_unknown=True)


async def ready(desk: Desk) -> tuple[Actor, Actor]:
    """Two devices, one of which has accepted the other's call."""
    ann, bob = await actor(desk), await actor(desk)
    await befriend(ann, bob, grants=False)
    for one, other in ((ann, bob), (bob, ann)):
        await one.say(one.device.grant(other.device, grant=GRANT))
    await ann.create()
    await invite_and_answer(ann, bob)
    return ann, bob


async def states(ann: Actor) -> list[MemberState]:
    return [member.state for member in (await ann.show(ann.session)).members]


@pytest.mark.parametrize("step", ["session_state", "hold", "commit"])
@pytest.mark.parametrize("by_creator", [True, False])
@pytest.mark.parametrize("restriction", RESTRICTIONS, ids=lambda restriction: restriction[0].__name__)
async def test_no_join_is_committed_after_an_acknowledged_restriction(
    desk: Desk, step: str, by_creator: bool, restriction: tuple[Restriction, Reason, Reason]
) -> None:
    restrict, creators, targets = restriction
    ann, bob = await ready(desk)
    request = ann.admission()
    acknowledged: list[bool] = []

    async def restricted() -> None:
        await (restrict(ann, bob) if by_creator else restrict(bob, ann))
        acknowledged.append(True)

    desk.store.before[step] = restricted
    rejected = (await ann.ask(request, Admitted)).rejected
    assert acknowledged
    assert [(each.client, each.reason) for each in rejected] == [(bob.client, creators if by_creator else targets)]
    shown = await ann.show(ann.session)
    assert shown.epoch == 1
    assert [member.client for member in shown.members] == [ann.client]


@pytest.mark.parametrize("by_creator", [True, False])
async def test_a_member_is_out_once_its_removal_is_acknowledged(desks: dict[str, Desk], by_creator: bool) -> None:
    """Also where that comes before its admission is on its way."""
    desk = desks["one"]
    ann, bob = await ready(desk)
    assert isinstance(bob.line, DeskSeat)
    await desk.unseat(bob.line)
    bob.line = await desks["two"].seat(bob.device)
    request = ann.admission()

    async def restricted() -> None:
        await (untrust(ann, bob) if by_creator else untrust(bob, ann))
        assert await states(ann) == [MemberState.JOINED, MemberState.OUT]

    desk.store.before["look"] = restricted
    await ann.ask(request, Admitted)
    update = await ann.line.next_push(SessionUpdatePush)
    assert (update.client, update.state, update.reason) == (bob.client, MemberState.OUT, Reason.NOT_TRUSTED)
    assert not (await bob.show(ann.session)).admission


@pytest.mark.parametrize("restrict", [revoke, shorten])
async def test_a_grant_that_ends_takes_no_member_out(pair: tuple[Actor, Actor], restrict: Restriction) -> None:
    ann, bob = pair
    await ann.create()
    await call_in(ann, bob)
    await bob.say(bob.device.grant(ann.device, grant=GRANT))
    await restrict(bob, ann)
    assert await states(ann) == [MemberState.JOINED, MemberState.JOINED]


async def test_another_node_finishes_the_cut_of_one_that_died(desks: dict[str, Desk]) -> None:
    desk, other = desks["one"], desks["two"]
    ann, bob = await ready(desk)
    assert not (await ann.admit()).rejected
    desk.store.before["cut"] = crash
    await bob.say_without_store(*bob.device.untrust(ann.device))
    assert await states(ann) == [MemberState.JOINED, MemberState.SEATED]
    other.nodes.lost.add("one")
    await outbox.run_once(other.hub, min_age_ms=0)
    assert await states(ann) == [MemberState.JOINED, MemberState.OUT]


async def test_a_join_that_slips_in_before_the_cut_is_undone_by_it(desks: dict[str, Desk]) -> None:
    desk, other = desks["one"], desks["two"]
    ann, bob = await ready(desk)
    request = ann.admission()

    async def put_and_die() -> None:
        desk.store.before["cut"] = crash
        await bob.say_without_store(*bob.device.untrust(ann.device))

    desk.store.before["commit"] = put_and_die
    assert not (await ann.ask(request, Admitted)).rejected
    assert await states(ann) == [MemberState.JOINED, MemberState.SEATED]
    other.nodes.lost.add("one")
    await outbox.run_once(other.hub, min_age_ms=0)
    assert await states(ann) == [MemberState.JOINED, MemberState.OUT]


async def test_a_join_reported_as_refused_is_not_committed_by_an_earlier_request(
    desks: dict[str, Desk],
) -> None:
    desk, other = desks["one"], desks["two"]
    ann, bob = await ready(desk)
    request = ann.admission()
    told: list[Reason | None] = []

    async def restrict_and_ask_again_elsewhere() -> None:
        desk.store.before["cut"] = crash
        await bob.say_without_store(*bob.device.revocation(ann.device, GRANT))
        assert isinstance(ann.line, DeskSeat)
        told.extend(each.reason for each in (await joins.admit(other.hub, ann.line.caller, request)).rejected)

    desk.store.before["commit"] = restrict_and_ask_again_elsewhere
    rejected = (await ann.ask(request, Admitted)).rejected
    assert told == [each.reason for each in rejected] == [Reason.GRANT_REVOKED]
    assert (await ann.show(ann.session)).epoch == 1


async def test_a_committed_join_is_refused_to_neither_of_two_requests_at_once(desks: dict[str, Desk]) -> None:
    desk, other = desks["one"], desks["two"]
    ann, bob = await ready(desk)
    request = ann.admission()

    async def commit_elsewhere_and_restrict() -> None:
        assert isinstance(ann.line, DeskSeat)
        assert not (await joins.admit(other.hub, ann.line.caller, request)).rejected
        await revoke(bob, ann)

    desk.store.before["hold"] = commit_elsewhere_and_restrict
    assert not (await ann.ask(request, Admitted)).rejected
    assert (await ann.show(ann.session)).epoch == 2


async def test_sent_again_after_the_node_died_the_removal_is_made_and_acknowledged(desk: Desk) -> None:
    ann, bob = await ready(desk)
    assert not (await ann.admit()).rejected
    said = bob.device.untrust(ann.device)
    desk.store.before["cut"] = crash
    await bob.say_without_store(*said)
    await bob.say(said)
    assert await states(ann) == [MemberState.JOINED, MemberState.OUT]


async def test_a_cut_drained_late_spares_a_member_that_is_trusted_again(desks: dict[str, Desk]) -> None:
    desk, other = desks["one"], desks["two"]
    ann, bob = await ready(desk)
    assert not (await ann.admit()).rejected
    await untrust(bob, ann)
    await bob.say(bob.device.trust(ann.device), bob.device.grant(ann.device))
    ann.inviting._members.members.pop(bob.client)
    await _call_in_again(ann, bob)
    other.nodes.lost.add("one")
    await outbox.run_once(other.hub, min_age_ms=0)
    assert await states(ann) == [MemberState.JOINED, MemberState.JOINED]


async def _call_in_again(ann: Actor, bob: Actor) -> None:
    """Call in a member who was out; it gets a fresh admission."""
    await invite_and_answer(ann, bob)
    assert not (await ann.admit()).rejected
    first, second = await bob.line.next_push(AdmissionPush), await bob.line.next_push(AdmissionPush)
    joining = bob.joining[ann.session]
    assert first != second
    joining.on_admission(second.admission, now_ms())
    await bob.say_joined(joining)


async def test_a_new_key_takes_the_device_out_of_its_sessions(desks: dict[str, Desk]) -> None:
    desk = desks["one"]
    ann, bob = await ready(desk)
    assert not (await ann.admit()).rejected
    bob.device.rotate()
    bob.line = await desk.seat(bob.device)
    for each in desks.values():
        await outbox.run_once(each.hub, min_age_ms=0)
    shown = await ann.show(ann.session)
    assert [(member.state, member.reason) for member in shown.members] == [
        (MemberState.JOINED, None),
        (MemberState.OUT, Reason.KEY_MISMATCH),
    ]


async def test_a_device_that_is_granted_again_joins_again(desk: Desk) -> None:
    ann, bob = await ready(desk)
    request = ann.admission()

    async def restricted() -> None:
        await revoke(bob, ann)

    desk.store.before["commit"] = restricted
    rejected = (await ann.ask(request, Admitted)).rejected
    ann.inviting.rejected({each.client: each.reason for each in rejected if each.reason}, now_ms())
    await bob.say(bob.device.grant(ann.device))
    await call_in(ann, bob)


async def test_an_untrust_ends_the_grant_too(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    await untrust(bob, ann)
    await bob.say(bob.device.trust(ann.device))
    await ann.create(Mode.JOIN)
    assert [result.reason for result in (await ann.call(bob)).results] == [Reason.GRANT_REVOKED]
