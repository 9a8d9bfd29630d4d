"""A one-shot grant is used once, or given back, however the join that held it ends."""

import os
from collections.abc import Sequence

import pytest
from tests.integration.hub.desk import Desk
from tests.integration.hub.device import now_ms
from tests.integration.hub.stage import Actor, actor, befriend, call_in, invite_and_answer

from muster_hub.sessions.facts import read_facts
from muster_hub.sessions.holds import HOLD_MS
from muster_hub.store import keys
from muster_hub.store.cells import pack
from muster_hub.store.errors import StoreCause, StoreUnavailable
from muster_protocol.frames import Admitted, Purpose
from muster_protocol.ids import GrantId
from muster_protocol.reasons import Reason


async def one_shot_pair(desk: Desk) -> tuple[Actor, Actor, GrantId]:
    ann, bob = await actor(desk), await actor(desk)
    await befriend(ann, bob)
    grant = GrantId(os.urandom(16))
    await bob.say(bob.device.grant(ann.device, once=True, grant=grant))
    return ann, bob, grant


async def answered(ann: Actor, bob: Actor) -> None:
    """Go as far as the creator's admission, in a new session."""
    await ann.create()
    await invite_and_answer(ann, bob)


async def use_of(desk: Desk, bob: Actor, ann: Actor) -> str:
    given = (await read_facts(desk.hub, {bob.client: [ann.client]}))[bob.client].given[ann.client]
    if given.use is None:
        return "free"
    return "spent" if given.use.spent else "held"


async def test_a_one_shot_is_used_once(desk: Desk) -> None:
    ann, bob, _ = await one_shot_pair(desk)
    await ann.create()
    await call_in(ann, bob)
    assert await use_of(desk, bob, ann) == "spent"
    await ann.create()
    assert [result.reason for result in (await ann.call(bob)).results] == [Reason.GRANT_USED]
    assert [result.reason for result in (await ann.call(bob, purpose=Purpose.ASK)).results] == [None]


async def test_a_new_grant_can_be_used_again(desk: Desk) -> None:
    ann, bob, _ = await one_shot_pair(desk)
    await ann.create()
    await call_in(ann, bob)
    await bob.say(bob.device.grant(ann.device, once=True))
    await ann.create()
    await call_in(ann, bob)


async def test_a_rotation_gives_no_spent_use_back(desk: Desk) -> None:
    ann, bob, grant = await one_shot_pair(desk)
    await ann.create()
    await call_in(ann, bob)
    bob.device.rotate()
    bob.line = await desk.seat(bob.device)
    await bob.say(bob.device.trust(ann.device), bob.device.grant(ann.device, once=True, grant=grant))
    await ann.say(ann.device.trust(bob.device), ann.device.grant(bob.device))
    assert await use_of(desk, bob, ann) == "spent"
    await ann.create()
    assert [result.reason for result in (await ann.call(bob)).results] == [Reason.GRANT_USED]


async def test_of_two_sessions_one_gets_the_use(desk: Desk) -> None:
    ann, bob, _ = await one_shot_pair(desk)
    await answered(ann, bob)
    first = ann.inviting
    await answered(ann, bob)
    assert not (await ann.admit()).rejected
    ann.inviting = first
    rejected = (await ann.admit()).rejected
    assert [each.reason for each in rejected] == [Reason.GRANT_USED]


async def test_a_refused_join_gives_the_use_back(desk: Desk) -> None:
    ann, bob, _ = await one_shot_pair(desk)
    await answered(ann, bob)
    request = ann.admission()

    async def restrict() -> None:
        await ann.say(ann.device.untrust(bob.device))

    desk.store.before["hold"] = restrict
    rejected = (await ann.ask(request, Admitted)).rejected
    assert [each.reason for each in rejected] == [Reason.NOT_TRUSTED]
    assert await use_of(desk, bob, ann) == "free"


async def test_a_use_held_by_a_join_in_progress_is_not_free(desk: Desk) -> None:
    ann, bob, _ = await one_shot_pair(desk)
    await answered(ann, bob)
    request = ann.admission()
    await answered(ann, bob)
    second: list[Reason | None] = []

    async def meanwhile() -> None:
        assert await use_of(desk, bob, ann) == "held"
        rejected = (await ann.ask(ann.admission(), Admitted)).rejected
        second.extend(each.reason for each in rejected)

    desk.store.before["commit"] = meanwhile
    assert not (await ann.ask(request, Admitted)).rejected
    assert second == [Reason.GRANT_USED]
    assert await use_of(desk, bob, ann) == "spent"


@pytest.mark.parametrize("committed", [True, False])
async def test_a_hold_left_behind_is_settled_by_what_the_session_says(desks: dict[str, Desk], committed: bool) -> None:
    desk, other = desks["one"], desks["two"]
    ann, bob, grant = await one_shot_pair(desk)
    await answered(ann, bob)
    request, left = ann.admission(), ann.session

    async def crash() -> None:
        raise StoreUnavailable(StoreCause.LOST, outcome_unknown=True)

    desk.store.before["settle" if committed else "commit"] = crash
    if committed:
        assert not (await ann.ask(request, Admitted)).rejected
    else:
        assert (await ann.refused(request)).reason is Reason.STORE_UNAVAILABLE
    assert await use_of(desk, bob, ann) == "held"

    invite = (await read_facts(desk.hub, {bob.client: [ann.client]}))[bob.client].given[ann.client].use
    assert invite is not None
    aged = pack(left, invite.invite, "held", now_ms() - HOLD_MS - 1, 0)
    await _age(desk, bob, [grant, aged])
    # Another node, another session: it meets the hold, and the first session tells it how that join ended.
    ann.line = await other.seat(ann.device)
    await ann.create()
    expected = Reason.GRANT_USED if committed else None
    assert [result.reason for result in (await ann.call(bob)).results] == [expected]
    assert await use_of(other, bob, ann) == ("spent" if committed else "free")


async def _age(desk: Desk, bob: Actor, args: Sequence[bytes]) -> None:
    await desk.store.ask(b"HSET", keys.uses(bob.client), *args)
