"""Every restriction there is, each against a join that is ready to be committed."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.integration.hub.stage import Actor, befriend, call_in, invite_and_answer
from tests.schedules.direct import Snapshot
from tests.schedules.scene import TOKEN, RequestScript, Studio, ask, caller_of
from tests.schedules.world import HUB_KEY

from muster_hub.connections.continuity import confirm_token
from muster_hub.connections.handshake import Handshakes
from muster_hub.connections.handshake_queue import HandshakeRefused
from muster_hub.context import NodeContext
from muster_hub.presence.departures import Departures
from muster_hub.routing.caller import Caller
from muster_hub.store.errors import StoreCause, StoreUnavailable
from muster_protocol.errors import Refused
from muster_protocol.frames import Admit, ClearSuspicion, ConfirmToken, Ok, PutStatement, SessionKind
from muster_protocol.ids import ClientId, Fingerprint, GrantId, Nonce, SessionId
from muster_protocol.reasons import Reason

ORIGIN = "ws://127.0.0.1:7627"
GRANT = GrantId(bytes(range(16)))

Restriction = Callable[[NodeContext], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Case:
    """A join and a restriction, both signed. ``out``: who is out if the join came first; ``epoch``: the one before."""

    name: str
    snapshot: Snapshot
    creator: Caller
    newcomer: ClientId
    names: tuple[str, ...]
    session: SessionId
    epoch: int
    join: Admit
    restrict: Restriction
    out: ClientId | None
    again: RequestScript


@dataclass(slots=True)
class Cast:
    """Who plays: ann has called bob, who accepted; in a mesh cat is a member already."""

    studio: Studio
    ann: Actor
    bob: Actor
    cat: Actor | None

    @property
    def actors(self) -> tuple[Actor, ...]:
        return tuple(each for each in (self.ann, self.bob, self.cat) if each is not None)


# -- what restricts -------------------------------------------------------------------------------------------------


def say(who: Actor, statement: tuple[Any, Any]) -> Restriction:
    kind, signed = statement
    caller = caller_of(who)
    return lambda hub: ask(hub, caller, PutStatement(id=1, kind=kind, statement=signed))


def untrust(one: Actor, other: Actor) -> Restriction:
    return say(one, one.device.untrust(other.device))


def revoke(one: Actor, other: Actor) -> Restriction:
    return say(one, one.device.revocation(other.device, GRANT))


def shorten(one: Actor, other: Actor) -> Restriction:
    return say(one, one.device.grant(other.device, lasts_ms=1))


def pin_another_key(one: Actor, other: Actor) -> Restriction:
    return say(one, one.device.trust(other.device, fingerprint=Fingerprint(os.urandom(32))))


STATEMENTS = (untrust, revoke, shorten, pin_another_key)


def handshakes(context: NodeContext) -> Handshakes:
    return Handshakes(
        context, HUB_KEY, Departures(context.store, context.router, context.nodes), lambda: frozenset((ORIGIN,))
    )


def come_in(context: NodeContext, who: Actor) -> Restriction:
    """Connect a device as it is now, and without a continuity token, at whichever node."""
    greeting = handshakes(context).greet()
    shake = who.device.handshake(ORIGIN)
    shake.on_challenge(greeting.handshake.message)
    hello = shake.hello(Nonce(os.urandom(32)), None)

    async def enter(context: NodeContext) -> object:
        try:
            return await handshakes(context).admit(greeting, greeting.handshake.on_hello(hello), None)
        except HandshakeRefused as away:
            if away.reason is Reason.STORE_UNAVAILABLE:
                raise StoreUnavailable(StoreCause.LOST, outcome_unknown=True) from away
            raise Refused(away.reason) from away

    return enter


# -- the cases --------------------------------------------------------------------------------------------------------


async def cases(studio: Callable[[], Studio]) -> list[Case]:
    """Make every case; each in a studio of its own."""
    made = [
        await _by_statement(await _star(studio()), statement, by, about)
        for statement in STATEMENTS
        for by, about in (("ann", "bob"), ("bob", "ann"))
    ]
    made += [
        await _by_statement(await _mesh(studio()), statement, by, about)
        for statement in (untrust, pin_another_key)
        for by, about in (("cat", "bob"), ("bob", "cat"), ("bob", "ann"))
    ]
    for who in ("ann", "bob"):
        made.append(await _by_rotation(await _star(studio()), who))
        made.append(await _by_rotation(await _mesh(studio()), who))
        made.append(await _by_clone(await _star(studio()), who))
    return made


async def _star(studio: Studio) -> Cast:
    ann, bob = [await studio.actor(name) for name in ("ann", "bob")]
    await befriend(ann, bob, grants=False)
    await _grant(ann, bob)
    await ann.create()
    return await _answered(Cast(studio, ann, bob, None))


async def _mesh(studio: Studio) -> Cast:
    ann, bob, cat = [await studio.actor(name) for name in ("ann", "bob", "cat")]
    await befriend(ann, bob, cat, grants=False)
    await _grant(ann, bob)
    await _grant(ann, cat)
    await ann.create(kind=SessionKind.MESH)
    await call_in(ann, cat)
    return await _answered(Cast(studio, ann, bob, cat))


async def _grant(*pair: Actor) -> None:
    for one, other in (pair, pair[::-1]):
        await one.say(one.device.grant(other.device, grant=GRANT))


async def _answered(cast: Cast) -> Cast:
    await invite_and_answer(cast.ann, cast.bob)
    return cast


async def _by_statement(cast: Cast, statement: Callable[[Actor, Actor], Restriction], by: str, about: str) -> Case:
    one, other = getattr(cast, by), getattr(cast, about)
    out = None
    if statement is untrust:
        out = other.client if by == "ann" else one.client
    name = f"{statement.__name__} by {by} about {about}"
    return await _case(cast, name, statement(one, other), out, lambda: _trust_again(one, other))


async def _trust_again(one: Actor, other: Actor) -> None:
    await one.say(one.device.trust(other.device), one.device.grant(other.device))


async def _by_rotation(cast: Cast, by: str) -> Case:
    who = getattr(cast, by)
    join = cast.ann.admission()
    who.device.rotate()

    async def again() -> None:
        for other in cast.actors:
            if other is not who:
                await _trust_again(other, who)
                await _trust_again(who, other)

    name = f"rotation of {by}" + (" in a mesh" if cast.cat else "")
    return await _case(cast, name, come_in(cast.studio.hub, who), who.client, again, join)


async def _by_clone(cast: Cast, by: str) -> Case:
    who = getattr(cast, by)
    await confirm_token(cast.studio.hub, caller_of(who), ConfirmToken(id=1, counter=1))

    async def again() -> None:
        await who.ask(ConfirmToken(id=1, counter=TOKEN + 1), Ok)
        await who.ask(ClearSuspicion(id=1), Ok)

    return await _case(cast, f"clone of {by}", come_in(cast.studio.hub, who), None, again)


async def _case(  # noqa: PLR0917 - what a case is made of
    cast: Cast,
    name: str,
    restrict: Restriction,
    out: ClientId | None,
    again: Callable[[], Awaitable[None]],
    join: Admit | None = None,
) -> Case:
    ann, studio = cast.ann, cast.studio
    join = join or ann.admission()
    creator, session = caller_of(ann), ann.session
    names = (session, *(each.client for each in cast.actors))
    snapshot = await studio.snapshot(*names)
    shown = await ann.show(session)
    # The restriction is made here once, so that those who take it back know the state that they speak to.
    await restrict(studio.hub)
    await studio.seat_again(*cast.actors)
    await again()
    await ann.create(kind=SessionKind.MESH if cast.cat else SessionKind.STAR)
    await call_in(ann, *(each for each in cast.actors if each is not ann))
    return Case(
        name=name,
        snapshot=snapshot,
        creator=creator,
        newcomer=cast.bob.client,
        names=names,
        session=session,
        epoch=shown.epoch,
        join=join,
        restrict=restrict,
        out=out,
        again=studio.script(*cast.actors),
    )
