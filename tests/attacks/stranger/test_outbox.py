"""A device that says the same thing again and again, so that the hub's outbox grows."""

import pytest
from tests.integration.hub.desk import Desk
from tests.integration.hub.device import SigningDevice, now_ms
from tests.integration.hub.stage import Actor, actor

from muster_hub.store import keys
from muster_hub.store.errors import StoreCause, StoreUnavailable
from muster_protocol.frames import Ok, PutStatement
from muster_protocol.ids import GrantId, Seed, session_id
from muster_protocol.labels import Kind
from muster_protocol.signed import Signed

REPEATS = 358
Statement = tuple[Kind, Signed]


async def restricting(noisy: Actor, peer: SigningDevice, kind: Kind) -> Statement:
    """Return a statement of this kind that restricts, once what it restricts was said."""
    grant = noisy.device.grant(peer, grant=GrantId(bytes(16)))
    await noisy.say(noisy.device.trust(peer), grant)
    match kind:
        case Kind.TRUST:
            return noisy.device.trust(peer, SigningDevice().fingerprint)
        case Kind.UNTRUST:
            return noisy.device.untrust(peer)
        case Kind.GRANT:
            return noisy.device.grant(peer, lasts_ms=1_000)
        case _:
            return noisy.device.revocation(peer, GrantId(bytes(16)))


async def in_many_sessions(desk: Desk, device: SigningDevice) -> None:
    names = [session_id(device.client, Seed(number.to_bytes(16))) for number in range(keys.MAX_INDEXED_SESSIONS)]
    entries = [word for name in names for word in (now_ms() + 3_600_000, name)]
    await desk.store.ask(b"ZADD", keys.session_index(device.client), *entries)


async def size(desk: Desk, device: SigningDevice) -> object:
    return await desk.store.ask(b"XLEN", keys.outbox(keys.bucket(device.client)))


@pytest.mark.parametrize("kind", [Kind.TRUST, Kind.UNTRUST, Kind.GRANT, Kind.REVOCATION])
async def test_an_old_statement_repeated_makes_no_outbox_grow(desk: Desk, kind: Kind) -> None:
    noisy = await actor(desk)
    statement = await restricting(noisy, SigningDevice(), kind)
    await in_many_sessions(desk, noisy.device)
    before = await size(desk, noisy.device)
    await noisy.say(statement)
    after = await size(desk, noisy.device)
    assert isinstance(before, int)
    assert isinstance(after, int)
    assert after >= before + keys.MAX_INDEXED_SESSIONS  # said for the first time, it cuts every session
    ver = await desk.store.ask(b"HGET", keys.device(noisy.client), b"ver")
    desk.store.calls.clear()
    for _ in range(REPEATS):
        await noisy.say(statement)
    assert await size(desk, noisy.device) == after
    assert await desk.store.ask(b"HGET", keys.device(noisy.client), b"ver") == ver
    assert "cut" not in desk.store.calls


async def test_a_repeat_makes_the_cuts_that_were_not_made(desk: Desk) -> None:
    noisy, peer = await actor(desk), SigningDevice()
    kind, signed = await restricting(noisy, peer, Kind.UNTRUST)
    await in_many_sessions(desk, noisy.device)

    async def crash() -> None:
        raise StoreUnavailable(StoreCause.LOST, outcome_unknown=False)

    desk.store.before["cut"] = crash
    await noisy.say_without_store(kind, signed)
    made = [name for name in desk.store.calls if name == "cut"]
    for cuts in (len(made), 0):
        desk.store.calls.clear()
        await noisy.ask(PutStatement(id=1, kind=kind, statement=signed), Ok)
        assert desk.store.calls.count("cut") == cuts


async def test_a_connection_after_a_rotation_makes_no_outbox_grow(desk: Desk) -> None:
    noisy = await actor(desk)
    await noisy.trust(await actor(desk))
    await in_many_sessions(desk, noisy.device)
    noisy.device.rotate()
    await desk.seat(noisy.device)
    after = await size(desk, noisy.device)
    for _ in range(8):
        await desk.seat(noisy.device)
    assert await size(desk, noisy.device) == after
