"""A creator that calls a device which permits it automatic joins into session after session, and closes none."""

import os
from contextlib import suppress

from tests.integration.hub.desk import Desk
from tests.integration.hub.device import now_ms
from tests.integration.hub.stage import Actor, actor, befriend, call_in, invite_and_answer

from muster_hub.rate_limits.spending import Payer
from muster_hub.sessions.holds import HeldFor, HoldRequest, hold
from muster_hub.store import keys
from muster_protocol.errors import Refused
from muster_protocol.frames import CloseSession, Ok
from muster_protocol.ids import Seed, TimeMs, session_id
from muster_protocol.reasons import Reason


async def hold_for_many(desk: Desk, creator: Actor, victim: Actor) -> None:
    """Have a device held for as many sessions of a creator as it can be, as each join would."""
    payer = Payer(creator.client, None)
    ends_at = TimeMs(now_ms() + 3_600_000)
    for _ in range(keys.MAX_INDEXED_SESSIONS):
        session = session_id(creator.client, Seed(os.urandom(16)))
        held_for = HeldFor(session, ends_at, creator.client, creator.device.fingerprint)
        with suppress(Refused):
            await hold(desk.hub, payer, held_for, [HoldRequest(victim.client, (creator.client,), {})])


async def test_one_creator_cannot_take_all_places_of_a_device(desk: Desk) -> None:
    bad, friend, victim = [await actor(desk) for _ in range(3)]
    await befriend(bad, victim)
    await befriend(friend, victim)
    first = await bad.create()
    await call_in(bad, victim)
    await hold_for_many(desk, bad, victim)
    await bad.create()
    await invite_and_answer(bad, victim)
    assert (await bad.refused(bad.admission())).reason is Reason.OVERLOADED
    await victim.create()
    await call_in(victim, friend)
    await friend.create()
    await call_in(friend, victim)
    # A session that is closed gives its place back, to its creator too.
    await bad.ask(CloseSession(id=1, session=first), Ok)
    await bad.create()
    await call_in(bad, victim)
