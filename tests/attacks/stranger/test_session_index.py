"""A stranger that admits devices which it never invited."""

import pytest
from tests.attacks.stored import changed, stored
from tests.attacks.stranger.uninvited import admit, session_of
from tests.integration.hub.desk import Desk
from tests.integration.hub.device import SigningDevice
from tests.integration.hub.sessions.test_strangers import STRANGERS, seen_by
from tests.integration.hub.stage import Actor, actor, befriend, call_in
from tests.slots import slot_tag

from muster_hub.store import keys
from muster_protocol.codec import encode
from muster_protocol.frames import Admitted, InviteResult, Purpose
from muster_protocol.reasons import Reason

STRANGERS_AT_WORK = 2
"""A stranger's own index is full after MAX_INDEXED_SESSIONS sessions; it goes on as another device."""
ADMITS_EACH = 150


async def test_a_stranger_cannot_fill_the_session_index_of_a_device(pair: tuple[Actor, Actor], desk: Desk) -> None:
    victim, friend = pair
    for _ in range(STRANGERS_AT_WORK):
        stranger, accomplice = await actor(desk), await actor(desk)
        await befriend(stranger, accomplice)
        await stranger.trust(victim)
        await stranger.say(stranger.device.grant(victim.device))
        for _ in range(ADMITS_EACH):
            request = admit(stranger, await session_of(stranger), victim.device)
            admitted = await stranger.ask(request, Admitted)
            assert admitted.rejected == (InviteResult(victim.client, Reason.MISMATCH),)
    assert not await desk.store.ask(b"EXISTS", keys.session_index(victim.client))
    await friend.create()
    await call_in(friend, victim)
    await victim.create()


@pytest.mark.parametrize("home", ["one", "two"])
async def test_an_admit_without_an_invite_touches_no_slot_but_the_strangers_own(
    desks: dict[str, Desk], home: str
) -> None:
    """So the slot of the device named may be on another shard, and its connection at another node."""
    desk = desks["one"]
    stranger, accomplice, friend = await actor(desk), await actor(desk), await actor(desk)
    await befriend(stranger, accomplice)
    created = await session_of(stranger)
    own = {slot_tag(keys.session(created.session)), slot_tag(keys.device(stranger.client))}
    victim = await actor(desks[home])
    while slot_tag(keys.device(victim.client)) in own:
        victim = await actor(desks[home])
    await befriend(victim, friend)
    for target in (victim.device, SigningDevice()):
        for each in desks.values():
            each.store.slots.clear()
            each.published.clear()
        admitted = await stranger.ask(admit(stranger, created, target), Admitted)
        assert admitted.rejected == (InviteResult(target.client, Reason.MISMATCH),)
        assert set(desk.store.slots) == own
        assert not desks["two"].store.slots
        assert not [each.published for each in desks.values() if each.published]


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_an_admit_without_an_invite_shows_a_stranger_nothing(desk: Desk, purpose: Purpose) -> None:
    views = []
    for state in STRANGERS:
        stranger, friend = await actor(desk), await actor(desk)
        await befriend(stranger, friend)
        target = await state(desk, stranger)
        await stranger.say(stranger.device.trust(target), stranger.device.grant(target))
        request = admit(stranger, await session_of(stranger), target, purpose=purpose)

        async def ask(stranger: Actor = stranger, request: object = request, client: str = target.client) -> bytes:
            return encode(await stranger.ask(request, Admitted)).replace(client.encode(), b"")  # type: ignore[arg-type]

        before = await stored(desk)
        views.append(await seen_by(desk, stranger, ask))
        assert changed(before, await stored(desk)) == set()
    assert all(view == views[0] for view in views)
