"""Fresh identities, as many as somebody likes to make, that call whom they can think of: they leave next to nothing."""

import asyncio
import os
import random

from tests.fault.nodes import Cluster
from tests.fault.server import StoreServer
from tests.fault.waiting import until
from tests.integration.hub.device import SigningDevice, now_ms
from tests.integration.hub.stage import Actor

from muster_hub.store import keys
from muster_protocol.frames import (
    Error,
    GetCard,
    ListSessions,
    Purpose,
    SendInvites,
    SessionsReply,
    Watch,
    Who,
)
from muster_protocol.ids import ClientId
from muster_protocol.reasons import Reason

STRANGERS = int(os.environ.get("STRANGERS") or 300)
"""10,000 take a minute and a half, and show the same."""
AT_ONCE = 16
TARGETS = 4
DAY_MS = 86_400_000
BYTES_EACH = 1024
"""What a stranger leaves for a day: what its next connect is compared with."""

_OF_A_DEVICE = (
    keys.peers,
    keys.grants,
    keys.stated,
    keys.uses,
    keys.instances,
    keys.inbox,
    keys.acknowledged,
    keys.session_index,
    keys.watchers,
)


async def number(store: StoreServer, *words: bytes) -> int:
    reply = await store.say(*words)
    assert isinstance(reply, int)
    return reply


async def keys_of_all(store: StoreServer) -> int:
    """Count the keys of devices and sessions; how far each outbox was drained is a note of the hub's own."""
    notes = [await number(store, b"EXISTS", keys.drained(bucket)) for bucket in range(keys.BUCKETS)]
    return await number(store, b"DBSIZE") - sum(notes)


async def kept_of(store: StoreServer, client: ClientId) -> dict[str, object]:
    """Copy all that the store holds of a device, but when it was last seen."""
    held: dict[str, object] = {
        key.__name__: await store.say(b"DUMP", key(client)) for key in _OF_A_DEVICE if key is not keys.watchers
    }
    return held | {"ver": await store.say(b"HGET", keys.device(client), b"ver")}


async def intrude(url: str, targets: list[ClientId]) -> ClientId:
    """Come as somebody new and try everything on somebody who never heard of it; then go."""
    device = SigningDevice()
    async with device.connect(url) as link:
        actor = Actor(device, link)
        session = await actor.refused(actor.plan())
        assert session.reason is Reason.NOT_TRUSTED
        actor.inviting.committed(now_ms())
        invites = tuple(actor.invite(_named(target), Purpose.AUTO) for target in targets)
        called = await link.ask_any(SendInvites(id=0, session=actor.session, invites=invites))
        assert isinstance(called, Error)
        for target in targets:
            card = await link.ask_any(GetCard(id=0, client=target))
            assert isinstance(card, Error)
            assert card.reason is Reason.NOT_MUTUALLY_TRUSTED
        await link.ask_any(Who(id=0, clients=tuple(targets)))
        await link.ask_any(Watch(id=0, clients=tuple(targets)))
        listed = await link.ask(ListSessions(id=0), SessionsReply)
        assert listed.sessions == ()
    return device.client


def _named(client: ClientId) -> SigningDevice:
    """The device of that name: a stranger does not know its key."""
    device = SigningDevice()
    device.client = client
    return device


async def test_a_stranger_cannot_grow_the_store(hub_nodes: Cluster) -> None:
    node, store = await hub_nodes.node("one", "--max-per-address", "0"), hub_nodes.store
    friends = [SigningDevice() for _ in range(TARGETS)]
    for friend in friends:
        async with friend.connect(node.url) as link:
            for other in friends:
                if other is not friend:
                    await link.put(friend.trust(other))
    before = [await kept_of(store, friend.client) for friend in friends]
    keys_before = await keys_of_all(store)
    entries_before = sum([await number(store, b"XLEN", keys.outbox(bucket)) for bucket in range(keys.BUCKETS)])

    known = [friend.client for friend in friends]
    dice = random.Random(0)  # noqa: S311 # it spreads the targets
    gate = asyncio.Semaphore(AT_ONCE)

    async def one_of_them() -> ClientId:
        targets = [dice.choice(known), *(SigningDevice().client for _ in range(TARGETS - 1))]
        async with gate:
            return await intrude(node.url, targets)

    strangers = await asyncio.gather(*(one_of_them() for _ in range(STRANGERS)))

    async def told() -> bool:
        return not any([await number(store, b"EXISTS", keys.instances(one)) for one in strangers])

    await until(told)  # the last ones have gone, and the store hears of it

    assert await keys_of_all(store) <= keys_before + STRANGERS, "one key each, and none for those they name"
    for one in strangers:
        assert [await number(store, b"EXISTS", key(one)) for key in _OF_A_DEVICE] == [0] * len(_OF_A_DEVICE)
        assert 0 < await number(store, b"PTTL", keys.device(one)) <= DAY_MS
        assert await number(store, b"MEMORY", b"USAGE", keys.device(one)) <= BYTES_EACH
        assert await store.say(b"HEXISTS", keys.device(one), b"card") == 0
    entries = sum([await number(store, b"XLEN", keys.outbox(bucket)) for bucket in range(keys.BUCKETS)])
    assert entries == entries_before, "nothing was written down about them"
    assert [await kept_of(store, friend.client) for friend in friends] == before
