"""A thief who connected with a copied key before its owner rotated it."""

import copy

import pytest
from tests.attacks.stored import changed, stored
from tests.integration.hub.conftest import Links
from tests.integration.hub.desk import Desk
from tests.integration.hub.device import SigningDevice
from tests.integration.hub.stage import Actor

from muster_hub.node.node import Node
from muster_protocol.closes import CloseCode
from muster_protocol.connect import Role
from muster_protocol.frames import Ack, ConfirmToken, Ok, PutStatement, SendInvites
from muster_protocol.ids import GrantId
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason


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


async def test_a_connection_under_a_retired_key_can_change_nothing(pair: tuple[Actor, Actor], desk: Desk) -> None:
    """Also while the node of that connection has not heard yet that it is to be closed."""
    owner, friend = pair
    thief = copied(owner.device)
    lines = [Actor(thief, await desk.seat(thief, Role.CLI)), owner]
    await owner.create()
    invite = owner.invite(friend)
    rotated = copied(owner.device)
    rotated.rotate()
    await desk.seat(rotated)
    planted = SigningDevice()
    before = await stored(desk)
    for line in lines:
        said = (
            thief.trust(planted),
            thief.untrust(friend.device),
            thief.grant(planted),
            thief.revocation(friend.device, GrantId(bytes(16))),
            (Kind.CARD, thief.card(new=True)),
        )
        for kind, signed in said:
            request = PutStatement(id=1, kind=kind, statement=signed)
            assert (await line.refused(request)).reason is Reason.SUPERSEDED, kind
        for asked in (
            SendInvites(id=1, session=owner.session, invites=(invite,)),
            Ack(id=1, pushes=("any",)),
            ConfirmToken(id=1, counter=1),
        ):
            assert (await line.refused(asked)).reason is Reason.SUPERSEDED, type(asked).__name__
    assert changed(before, await stored(desk)) == set()
