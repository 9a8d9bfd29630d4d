"""A hub that sends again what a peer said long ago: it is reported no second time, and not behind newer words."""

from tests.unit.client.conftest import ManualClock, clock, make_device
from tests.unit.client.sessions.conftest import ann, bob
from tests.unit.client.sessions.parts import DeviceParts

from muster_client.events import PeerChanged
from muster_protocol.frames import StatementPush
from muster_protocol.ids import ClientId, Fingerprint
from muster_protocol.labels import Kind
from muster_protocol.signed import Signed

__all__ = ["ann", "bob", "clock", "make_device"]


async def reported(ann: DeviceParts, bob: DeviceParts, *said: tuple[Kind, Signed]) -> list[Kind]:
    """Have the hub push these words of BOB to ANN; return which of them are reported."""
    ann.told.clear()
    for kind, signed in said:
        push = StatementPush(client=bob.device.client, kind=kind, statement=signed)
        await ann.pushes.handle(ann.connection, push)
    return [event.kind for event in ann.events(PeerChanged)]


async def test_no_old_statement_is_reported_again(ann: DeviceParts, bob: DeviceParts, clock: ManualClock) -> None:
    me, peers = ann.device, bob.device.peers
    await ann.context.key_of(bob.device.client)
    old_card, grant = (Kind.CARD, bob.device.card()), (Kind.GRANT, peers.grant(me.client))
    clock.go_on(1000)
    untrust = (Kind.UNTRUST, peers.untrust(me.client))
    clock.go_on(1000)
    trust = (Kind.TRUST, peers.trust(me.client, me.fingerprint, "ann"))
    assert await reported(ann, bob, untrust, untrust, grant) == [Kind.UNTRUST], "the untrust ended that grant"
    assert await reported(ann, bob, trust, untrust, trust) == [Kind.TRUST]
    clock.go_on(1000)
    again = (Kind.GRANT, peers.grant(me.client))
    assert await reported(ann, bob, again, again, untrust, grant) == [Kind.GRANT]
    assert await reported(ann, bob, old_card, old_card) == [Kind.CARD]


async def test_no_word_about_a_third_device_is_reported(ann: DeviceParts, bob: DeviceParts) -> None:
    await ann.context.key_of(bob.device.client)
    about_another = (Kind.TRUST, bob.device.peers.trust(ClientId("a" * 32), Fingerprint(bytes(32)), "another"))
    assert await reported(ann, bob, about_another) == []
