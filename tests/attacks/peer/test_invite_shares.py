"""A trusted peer that uses up what a session or a device has for invites, so that others find no room."""

from typing import Final

from tests.attacks.stored import changed, stored
from tests.integration.hub.conftest import StartNode
from tests.integration.hub.desk import Desk, DeskSeat
from tests.integration.hub.device import SigningDevice
from tests.integration.hub.stage import Actor, actor, befriend, call_in, invite_and_answer

from muster_hub.node import outbox
from muster_hub.node.node import Tuning
from muster_hub.rate_limits.costs import INVITE, REQUEST, REQUEST_RATE
from muster_hub.rate_limits.token_bucket import Rate
from muster_hub.store import keys
from muster_protocol.frames import Admitted, Error, InvitePush, Ok, ResumeSession, SessionUpdatePush
from muster_protocol.reasons import Reason

ONCE = Tuning(request_rate=Rate(per_s=0.001, burst=REQUEST_RATE.burst))
OTHERS: Final = 3


async def asks_to_be_called(member: Actor, creator: Actor) -> Reason | None:
    """Ask to be invited again, and return why that was refused; the creator, if asked, invites as its agent does."""
    reply = await member.line.ask_any(ResumeSession(id=0, session=creator.session))
    if isinstance(reply, Error):
        return reply.reason
    while (await creator.next_push(SessionUpdatePush)).state != "resume":
        continue
    [result] = (await creator.call(member)).results
    return result.reason


async def test_a_member_cannot_use_up_the_invites_of_a_session(desk: Desk) -> None:
    creator, member = await actor(desk), await actor(desk)
    await befriend(creator, member)
    await creator.create()
    await call_in(creator, member)
    asked = 0
    while (reason := await asks_to_be_called(member, creator)) is None:
        asked += 1
        await member.take_invite()
    assert (reason, asked) == (Reason.TOO_MANY_TARGETS, keys.MAX_INVITES_PER_TARGET - 1)
    assert not creator.line.waiting(SessionUpdatePush), (
        "a request for which there is no invite asks the creator nothing"
    )
    for _ in range(OTHERS):
        other = await actor(desk)
        await befriend(creator, other)
        await call_in(creator, other)


async def test_a_member_pays_for_the_invites_that_its_creator_makes(start_node: StartNode) -> None:
    node, creator, member = await start_node(tuning=ONCE), SigningDevice(), SigningDevice()
    async with creator.connect(node.url) as one, member.connect(node.url) as two:
        caller, called = Actor(creator, one), Actor(member, two)
        await befriend(caller, called)
        await caller.create()
        await call_in(caller, called)
        served = 0
        while isinstance(reply := await two.ask_any(ResumeSession(id=0, session=caller.session)), Ok):
            served += 1
        assert isinstance(reply, Error)
        assert reply.reason is Reason.RATE_LIMITED
        assert 0 < served * (2 * REQUEST + INVITE) < REQUEST_RATE.burst


async def call_in_new_sessions(creator: Actor, called: Actor) -> int:
    """Invite a device into one session after the other, until the hub refuses; return how often it did not."""
    for invited in range(keys.MAX_INBOX + 1):
        await creator.create()
        [result] = (await creator.call(called)).results
        if result.reason is not None:
            assert result.reason is Reason.OVERLOADED
            return invited
    raise AssertionError("never refused")


async def test_one_peer_cannot_fill_the_inbox_of_a_device(desk: Desk) -> None:
    peer, honest, called = await actor(desk), await actor(desk), await actor(desk)
    await befriend(peer, called)
    await befriend(honest, called)
    assert await call_in_new_sessions(peer, called) == keys.MAX_INBOX_PER_SENDER
    await honest.create()
    [result] = (await honest.call(called)).results
    assert result.reason is None
    pushes = [await called.next_push(InvitePush) for _ in range(keys.MAX_INBOX_PER_SENDER + 1)]
    assert pushes[-1].invite.signer == honest.device.fingerprint
    await peer.create()
    [result] = (await peer.call(called)).results
    assert result.reason is None, "what was acknowledged takes no place"


async def test_no_admission_takes_a_place_in_the_inbox_of_a_device(desk: Desk) -> None:
    """Also while the device is away: its creator admits it to as many sessions as it likes."""
    creator, away = await actor(desk), await actor(desk)
    await befriend(creator, away)
    requests = []
    for _ in range(2):
        await creator.create()
        await invite_and_answer(creator, away)
        requests.append(creator.admission())
    assert isinstance(away.line, DeskSeat)
    await desk.unseat(away.line)
    before = await stored(desk)
    for request in requests:
        assert not (await creator.ask(request, Admitted)).rejected
    await outbox.run_once(desk.hub, min_age_ms=0)
    assert keys.inbox(away.client) not in changed(before, await stored(desk))
