"""What a stranger may name in a request: a device, a session of it, an invite to that, and a push that waits for it."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.integration.hub.desk import Desk
from tests.integration.hub.device import SigningDevice
from tests.integration.hub.sessions.test_strangers import STRANGERS
from tests.integration.hub.stage import Actor, actor, befriend, call_in

from muster_protocol.exchange import Invite
from muster_protocol.frames import CloseSession, InvitePush, Ok, SessionKind
from muster_protocol.ids import Hash, InviteId, Seed, SessionId, session_id
from muster_protocol.signed import read


@dataclass(frozen=True, slots=True)
class Victim:
    """A device that does not trust the stranger, or an id without a device, and what belongs to it; else made up."""

    device: SigningDevice
    seed: Seed
    session: SessionId
    epoch: Hash
    invite: InviteId
    push: str


Targets = Callable[[Desk, Actor], Awaitable[Victim]]


def _made_up(device: SigningDevice) -> Victim:
    seed, invite = Seed(os.urandom(16)), InviteId(os.urandom(16))
    return Victim(device, seed, session_id(device.client, seed), Hash(os.urandom(32)), invite, f"invite.{invite.hex()}")


def _without_session(state: Callable[[Desk, Actor], Awaitable[SigningDevice]]) -> Targets:
    async def make(desk: Desk, stranger: Actor) -> Victim:
        return _made_up(await state(desk, stranger))

    make.__name__ = state.__name__
    return make


async def busy(desk: Desk, stranger: Actor, *, at: str = "one", kind: SessionKind = SessionKind.STAR) -> Victim:
    """A device with a session, a member and an invited device in it, and an invite that waits for itself."""
    home = next(each for each in desk.all if each.nodes.node == at)
    one, member, called = [await actor(home) for _ in range(3)]
    await befriend(one, member, called)
    await member.create()
    await member.call(one)
    waiting = one.line.waiting(InvitePush)[0]
    await one.create(kind=kind)
    await call_in(one, member)
    await one.call(called)
    live = read(called.line.waiting(InvitePush)[0].invite, Invite)
    assert waiting.push is not None
    plan = one.inviting.plan
    return Victim(one.device, plan.seed, plan.session, one.inviting.epoch.hash, live.invite, waiting.push)


async def busy_on_another_node(desk: Desk, stranger: Actor) -> Victim:
    return await busy(desk, stranger, at="two", kind=SessionKind.MESH)


async def closed_its_session(desk: Desk, stranger: Actor) -> Victim:
    one, member = await actor(desk), await actor(desk)
    await befriend(one, member)
    await one.create()
    await call_in(one, member)
    plan, epoch = one.inviting.plan, one.inviting.epoch.hash
    await one.ask(CloseSession(id=1, session=plan.session), Ok)
    return Victim(one.device, plan.seed, plan.session, epoch, InviteId(os.urandom(16)), "none")


TARGETS: list[Targets] = [
    *(_without_session(state) for state in STRANGERS),
    busy,
    busy_on_another_node,
    closed_its_session,
]
