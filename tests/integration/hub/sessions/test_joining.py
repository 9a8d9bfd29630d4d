"""The four messages, from the first call to ``joined``, as devices go through them."""

from tests.integration.hub.desk import Desk
from tests.integration.hub.stage import Actor, actor, befriend, call_in

from muster_protocol.frames import (
    MemberState,
)


async def test_a_device_is_called_in_by_four_messages(pair: tuple[Actor, Actor]) -> None:
    ann, bob = pair
    session = await ann.create()
    await call_in(ann, bob)
    assert bob.joining[session].epoch.hash == ann.inviting.epoch.hash
    assert bob.joining[session].epoch_key == ann.inviting.epoch_key
    shown = await bob.show(session)
    assert [(member.client, member.state) for member in shown.members] == [
        (ann.client, MemberState.JOINED),
        (bob.client, MemberState.JOINED),
    ]
    assert shown.epoch == 2
    assert len(shown.epochs) == 2
    assert len(shown.joined) == 1
    assert shown.admission is None


async def test_devices_on_two_nodes_find_each_other(desks: dict[str, Desk]) -> None:
    ann, bob = await actor(desks["one"]), await actor(desks["two"])
    await befriend(ann, bob)
    session = await ann.create()
    await call_in(ann, bob)
    assert bob.joining[session].epoch_key == ann.inviting.epoch_key
