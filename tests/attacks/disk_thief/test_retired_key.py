"""A thief who connected with a copied key before its owner rotated it."""

import copy

import pytest
from tests.attacks.disk_thief.owned import OWNED
from tests.attacks.stored import Stored, changed, stored
from tests.integration.hub.conftest import Links
from tests.integration.hub.desk import Desk
from tests.integration.hub.device import SigningDevice
from tests.integration.hub.stage import Actor

from muster_hub.node.node import Node
from muster_protocol.closes import CloseCode
from muster_protocol.connect import Role
from muster_protocol.frames import FRAMES, Error, MakeCode, Ok, PutStatement, Request
from muster_protocol.ids import GrantId
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed

REQUESTS = [frame for frame in FRAMES.values() if issubclass(frame, Request)]


def copied(owner: SigningDevice) -> SigningDevice:
    """Return the owner's device as a thief of its disk has it: with the key of now."""
    return copy.copy(owner)


@pytest.mark.parametrize("role", list(Role))
async def test_a_rotation_ends_all_connections_of_the_thief(node: Node, links: Links, role: Role) -> None:
    owner = SigningDevice()
    thief = copied(owner)
    stolen = [await links.enter_async_context(thief.connect(node.url, role=Role.CLI)) for _ in range(8)]
    stolen.append(await links.enter_async_context(thief.connect(node.url)))
    owner.rotate()
    link = await links.enter_async_context(owner.connect(node.url, role=role))
    assert [await each.closed() for each in stolen] == [CloseCode.SUPERSEDED] * len(stolen)
    assert isinstance(await link.put(owner.trust(SigningDevice())), Ok)


def tag_of(request_type: type[Request]) -> str:
    return str(request_type.__struct_config__.tag)


async def rotate(desk: Desk, owner: SigningDevice) -> None:
    """Let the owner connect with a new key; the desks do not close its older connections."""
    rotated = copied(owner)
    rotated.rotate()
    await desk.seat(rotated)


# A hub that serves every device makes no codes: tests/integration/hub/enrolment has one that does.
@pytest.mark.parametrize("request_type", [each for each in REQUESTS if each is not MakeCode], ids=tag_of)
async def test_a_current_connection_is_served(pair: tuple[Actor, Actor], request_type: type[Request]) -> None:
    owner, friend = pair
    reply = await owner.line.ask_any(await OWNED[request_type](owner, friend))
    assert not isinstance(reply, Error)
    assert not getattr(reply, "rejected", ())


@pytest.mark.parametrize("request_type", REQUESTS, ids=tag_of)
async def test_a_connection_under_a_retired_key_is_refused_everything(
    pair: tuple[Actor, Actor], desks: dict[str, Desk], request_type: type[Request]
) -> None:
    """Also where the node of that connection has not heard that it is to be closed, and for both roles."""
    owner, friend = pair
    thief = copied(owner.device)
    stolen = [await desk.seat(thief, Role.CLI) for desk in desks.values()]
    request = await OWNED[request_type](owner, friend)
    await rotate(desks["two"], owner.device)
    before = await stored(desks["one"])
    for line in (*stolen, owner.line):
        reply = await line.ask_any(request)
        assert isinstance(reply, Error)
        assert reply.reason is Reason.SUPERSEDED
    assert changed(before, await stored(desks["one"])) == set()


def statements_of(thief: SigningDevice, friend: SigningDevice) -> dict[str, tuple[Kind, Signed]]:
    """Return one statement of each kind that a device publishes, by the script that takes it."""
    return {
        "trust": thief.trust(SigningDevice()),
        "untrust": thief.untrust(friend),
        "grant": thief.grant(friend),
        "revocation": thief.revocation(friend, GrantId(bytes(16))),
        "card": (Kind.CARD, thief.card(new=True)),
    }


@pytest.mark.parametrize("name", ["trust", "untrust", "grant", "revocation", "card"])
async def test_no_statement_of_a_retired_key_is_taken_that_was_under_way(
    pair: tuple[Actor, Actor], desks: dict[str, Desk], name: str
) -> None:
    """The very step that takes a statement knows the key: the rotation comes last before it."""
    owner, friend = pair
    thief = copied(owner.device)
    line = await desks["two"].seat(thief, Role.CLI)
    kind, signed = statements_of(thief, friend.device)[name]
    between: list[Stored] = []

    async def rotate_first() -> None:
        await rotate(desks["one"], owner.device)
        between.append(await stored(desks["one"]))

    script = {"card": "put_card", "grant": "put_grant", "revocation": "put_grant"}.get(name, "put_peer")
    desks["two"].store.before[script] = rotate_first
    reply = await line.ask_any(PutStatement(id=1, kind=kind, statement=signed))
    assert isinstance(reply, Error)
    assert reply.reason is Reason.SUPERSEDED
    assert changed(between[0], await stored(desks["one"])) == set()
