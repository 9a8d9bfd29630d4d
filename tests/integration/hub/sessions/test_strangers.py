"""A stranger's view: reply and cost do not depend on what is true of a device that does not trust the caller."""

from collections.abc import Awaitable, Callable

import pytest
from tests.integration.hub.desk import Desk
from tests.integration.hub.device import SigningDevice, now_ms
from tests.integration.hub.sessions.test_refusals import set_standing
from tests.integration.hub.stage import Actor, actor, befriend

from muster_hub.delivery import inbox
from muster_hub.store import keys
from muster_hub.store.rows import InviteEndRow
from muster_protocol.cards import Mode
from muster_protocol.codec import encode
from muster_protocol.connect import Role
from muster_protocol.frames import InvitePush, InviteResult, InviteResults, Purpose, SendInvites, SessionKind, Why
from muster_protocol.ids import InviteId, SessionId
from muster_protocol.reasons import Reason


async def never_connected(desk: Desk, caller: Actor) -> SigningDevice:
    return SigningDevice()


async def idle(desk: Desk, caller: Actor) -> SigningDevice:
    return (await actor(desk)).device


async def away(desk: Desk, caller: Actor) -> SigningDevice:
    one = await actor(desk)
    await desk.unseat(one.line)  # type: ignore[arg-type]
    return one.device


async def command_line_only(desk: Desk, caller: Actor) -> SigningDevice:
    device = SigningDevice()
    await desk.seat(device, Role.CLI)
    return device


async def suspected(desk: Desk, caller: Actor) -> SigningDevice:
    one = await actor(desk)
    await set_standing(desk, one, Reason.CLONE_SUSPECTED)
    return one.device


async def revoked(desk: Desk, caller: Actor) -> SigningDevice:
    one = await actor(desk)
    await set_standing(desk, one, Reason.DEVICE_REVOKED)
    return one.device


async def in_all_sessions_that_it_can_be(desk: Desk, caller: Actor) -> SigningDevice:
    device = await trusts_others(desk, caller)
    entries = [word for number in range(keys.MAX_INDEXED_SESSIONS) for word in (now_ms() + 3_600_000, f"{number:032}")]
    await desk.store.ask(b"ZADD", keys.session_index(device.client), *entries)
    return device


async def with_a_full_inbox(desk: Desk, caller: Actor) -> SigningDevice:
    one = await actor(desk)
    for first in range(0, keys.MAX_INBOX, keys.MAX_INBOX_PER_SENDER):
        other = await actor(desk)
        await befriend(one, other)
        sender = other.device.client, other.device.fingerprint
        for number in range(first, first + keys.MAX_INBOX_PER_SENDER):
            name = InviteId(number.to_bytes(16))
            end = InviteEndRow(SessionId("a" * 32), one.client, name, *sender, Reason.CANCELLED)
            await inbox.put_invite_end(desk.hub, end)
    return one.device


async def of_another_version(desk: Desk, caller: Actor) -> SigningDevice:
    device = SigningDevice(app="another", modes=(Mode.JOIN,))
    await desk.seat(device)
    return device


async def trusts_others(desk: Desk, caller: Actor) -> SigningDevice:
    one, other = await actor(desk), await actor(desk)
    await befriend(one, other)
    return one.device


async def trusted_once(desk: Desk, caller: Actor) -> SigningDevice:
    one = await actor(desk)
    await one.trust(caller)
    await one.say(one.device.grant(caller.device), one.device.untrust(caller.device))
    return one.device


async def grants_without_trust(desk: Desk, caller: Actor) -> SigningDevice:
    one = await actor(desk)
    await one.say(one.device.grant(caller.device, once=True))
    return one.device


STRANGERS = [
    never_connected,
    idle,
    away,
    command_line_only,
    suspected,
    revoked,
    in_all_sessions_that_it_can_be,
    with_a_full_inbox,
    of_another_version,
    trusts_others,
    trusted_once,
    grants_without_trust,
]


async def seen_by(desk: Desk, caller: Actor, ask: Callable[[], Awaitable[bytes]]) -> tuple[bytes, list[str]]:
    """Ask once and return the bytes of the reply and the store calls that it took."""
    desk.store.calls.clear()
    reply = await ask()
    return reply, list(desk.store.calls)


@pytest.mark.parametrize("kind", list(SessionKind))
@pytest.mark.parametrize("purpose", list(Purpose))
async def test_an_invite_shows_a_stranger_nothing(desk: Desk, kind: SessionKind, purpose: Purpose) -> None:
    views = []
    for stranger in STRANGERS:
        caller, friend = await actor(desk), await actor(desk)
        await befriend(caller, friend)
        target = await stranger(desk, caller)
        await caller.say(caller.device.trust(target), caller.device.grant(target))
        await caller.create(kind=kind)

        async def ask(caller: Actor = caller, target: SigningDevice = target) -> bytes:
            request = SendInvites(id=1, session=caller.session, invites=(caller.invite(target, purpose),))
            reply = await caller.ask(request, InviteResults)
            assert reply.results == (InviteResult(target.client, Reason.NOT_MUTUALLY_TRUSTED),)
            return encode(reply).replace(target.client.encode(), b"")

        views.append(await seen_by(desk, caller, ask))
    assert len(views) == len(STRANGERS)
    assert all(view == views[0] for view in views)


@pytest.mark.parametrize("purpose", list(Purpose))
@pytest.mark.parametrize("calls", [True, False])
async def test_the_dry_run_shows_a_stranger_nothing(desk: Desk, purpose: Purpose, calls: bool) -> None:
    views = []
    for stranger in STRANGERS:
        caller = await actor(desk)
        target = await stranger(desk, caller)
        await caller.say(caller.device.trust(target), caller.device.grant(target))
        creator, called = (caller.client, target.client) if calls else (target.client, caller.client)

        async def ask(caller: Actor = caller, creator: str = creator, called: str = called) -> bytes:
            request = Why(id=1, creator=creator, target=called, mode=Mode.JOIN, profile=None, purpose=purpose)  # type: ignore[arg-type]
            return encode(await caller.line.ask_any(request))

        views.append(await seen_by(desk, caller, ask))
    assert all(view == views[0] for view in views)


async def test_the_dry_run_returns_what_an_invite_would(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    for mode, reason in ((Mode.JOIN, None), (Mode.SYNCHRONIZE, Reason.MODE_NOT_GRANTED)):
        await bob.say(bob.device.grant(ann.device, mode=Mode.INVENTORY))
        for asker in (ann, bob):
            request = Why(id=1, creator=ann.client, target=bob.client, mode=mode, profile=None, purpose=Purpose.AUTO)
            reply = await asker.line.ask_any(request)
            assert reply.reason is reason  # type: ignore[attr-defined]
        await ann.create(mode)
        assert [result.reason for result in (await ann.call(bob)).results] == [reason]
    assert len(bob.line.waiting(InvitePush)) == 1


async def test_the_dry_run_is_for_the_two_alone(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    eve = await actor(desk)
    request = Why(id=1, creator=ann.client, target=bob.client, mode=Mode.JOIN, profile=None, purpose=Purpose.ASK)
    assert (await eve.refused(request)).reason is Reason.MISMATCH
