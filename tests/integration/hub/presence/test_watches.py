"""Who is online, for whom; and what others are told of it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.integration.hub.conftest import Eventually, Links, StartNode, frozen
from tests.integration.hub.device import DeviceLink, SigningDevice

from muster_hub.node.node import Node
from muster_hub.presence import watch_table, watches
from muster_hub.store.adapter import Store
from muster_hub.store.embedded import EmbeddedStore
from muster_protocol.connect import Role
from muster_protocol.frames import (
    DropCause,
    Error,
    GetCard,
    Presence,
    PresencePush,
    PresenceReply,
    PresenceState,
    Watch,
    Who,
    encode_frame,
)
from muster_protocol.ids import ClientId


async def see(link: DeviceLink, *devices: SigningDevice) -> list[Presence]:
    reply = await link.ask(Who(id=0, clients=tuple(device.client for device in devices)), PresenceReply)
    assert [one.client for one in reply.devices] == [device.client for device in devices]
    return list(reply.devices)


async def watch(link: DeviceLink, *devices: SigningDevice) -> list[PresenceState]:
    reply = await link.ask(Watch(id=0, clients=tuple(device.client for device in devices)), PresenceReply)
    return [one.state for one in reply.devices]


async def told(link: DeviceLink) -> list[tuple[ClientId, PresenceState, DropCause | None]]:
    push = await link.next_push(PresencePush)
    return [(one.client, one.state, one.cause) for one in push.devices]


async def let_see(node: Node, seen: SigningDevice, *askers: SigningDevice) -> None:
    """Have a device trust the others, and go again."""
    async with seen.connect(node.url, role=Role.CLI) as link:
        for asker in askers:
            await link.put(seen.trust(asker))


async def test_online_offline_and_hidden(node: Node, links: Links) -> None:
    asker, seen, closed = SigningDevice(), SigningDevice(), SigningDevice()
    await let_see(node, seen, asker)
    link = await links.enter_async_context(asker.connect(node.url, role=Role.CLI))
    async with seen.connect(node.url), closed.connect(node.url):
        online, hidden, none = await see(link, seen, closed, SigningDevice())
        assert (online.state, online.cause) == (PresenceState.ONLINE, None)
        assert online.since is not None
        assert (hidden.state, hidden.since, hidden.cause) == (none.state, none.since, none.cause)
        assert (hidden.state, hidden.since, hidden.cause) == (PresenceState.HIDDEN, None, None)


async def test_a_device_is_hidden_to_itself(node: Node, links: Links) -> None:
    device = SigningDevice()
    link = await links.enter_async_context(device.connect(node.url))
    (itself,) = await see(link, device)
    assert (itself.state, itself.since, itself.cause) == (PresenceState.HIDDEN, None, None)


async def test_a_device_that_trusted_an_older_key_is_hidden_from_the_new_one(node: Node) -> None:
    asker, seen = SigningDevice(), SigningDevice()
    await let_see(node, seen, asker)
    asker.rotate()
    async with asker.connect(node.url) as link:
        assert [one.state for one in await see(link, seen)] == [PresenceState.HIDDEN]


@contextmanager
def calls_to(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, int, int]]]:
    """Collect what is asked of a store for a request: each script with the numbers of its keys and arguments."""
    seen: list[tuple[str, int, int]] = []
    begin = Store.begin

    def recording(self: Store, script, keys, args=()):
        if self is store and script.name not in {"lease", "publish", "drain"}:
            seen.append((script.name, len(keys), len(args)))
        return begin(self, script, keys, args)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "begin", recording)
        yield seen


async def test_a_strangers_view(node: Node, links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a device that does not trust the caller, all facts give the same bytes and the same calls to the store."""
    stranger, absent, offline, online, trusting = (SigningDevice() for _ in range(5))
    await let_see(node, offline, trusting)
    await let_see(node, trusting, online)
    for device in (online, trusting):
        await links.enter_async_context(device.connect(node.url))
    link = await links.enter_async_context(stranger.connect(node.url))
    for request in (
        lambda client: Who(id=0, clients=(client,)),
        lambda client: Watch(id=0, clients=(client,)),
        lambda client: GetCard(id=0, client=client),
    ):
        views = set()
        for device in (absent, offline, online, trusting):
            with calls_to(node.context.store, monkeypatch) as calls:
                reply = await link.ask_any(request(device.client))
            data = encode_frame(
                type(reply)(**{name: getattr(reply, name) for name in reply.__struct_fields__} | {"re": 0})
            )
            views.add((data.replace(device.client.encode(), b"somebody"), tuple(calls)))
        assert len(views) == 1


async def test_a_watcher_is_notified_of_joins_and_leaves(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when watcher and watched are on different nodes."""
    monkeypatch.setattr(watch_table, "SETTLE_S", 0.0)  # a device that leaves is announced at the first look
    monkeypatch.setattr(watches, "PUSH_EVERY_S", 0.01)
    near, far = await start_node("one"), await start_node("two")
    asker, seen = SigningDevice(), SigningDevice()
    await let_see(far, seen, asker)
    async with asker.connect(near.url) as link:
        assert await watch(link, seen) == [PresenceState.OFFLINE]
        async with seen.connect(far.url):
            assert await told(link) == [(seen.client, PresenceState.ONLINE, None)]
        assert await told(link) == [(seen.client, PresenceState.OFFLINE, DropCause.CLOSED)]


async def test_a_link_that_flaps_makes_no_noise(node: Node, links: Links) -> None:
    asker, seen, marker = SigningDevice(), SigningDevice(), SigningDevice()
    await let_see(node, seen, asker)
    await let_see(node, marker, asker)
    link = await links.enter_async_context(asker.connect(node.url))
    async with seen.connect(node.url):
        assert await watch(link, seen, marker) == [PresenceState.ONLINE, PresenceState.OFFLINE]
    async with seen.connect(node.url):
        async with marker.connect(node.url):
            assert await told(link) == [(marker.client, PresenceState.ONLINE, None)]
        # The marker's leave took its time to settle, and the flap in the same time is not told.
        assert await told(link) == [(marker.client, PresenceState.OFFLINE, DropCause.CLOSED)]


async def test_trust_given_and_taken_is_seen_at_once(node: Node, links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "PUSH_EVERY_S", 0.01)
    asker, seen = SigningDevice(), SigningDevice()
    link = await links.enter_async_context(asker.connect(node.url))
    other = await links.enter_async_context(seen.connect(node.url))
    await link.put(asker.trust(seen))  # a stranger's trust sends nothing, not even to the node of the device trusted
    assert await watch(link, seen) == [PresenceState.HIDDEN]
    await other.put(seen.trust(asker))
    assert await told(link) == [(seen.client, PresenceState.ONLINE, None)]
    await other.put(seen.untrust(asker))
    assert await told(link) == [(seen.client, PresenceState.HIDDEN, None)]


async def test_each_watch_replaces_the_one_before(node: Node, links: Links) -> None:
    asker, first, second = SigningDevice(), SigningDevice(), SigningDevice()
    await let_see(node, first, asker)
    await let_see(node, second, asker)
    link = await links.enter_async_context(asker.connect(node.url))
    await watch(link, first)
    await watch(link, second)
    async with first.connect(node.url), second.connect(node.url):
        assert await told(link) == [(second.client, PresenceState.ONLINE, None)]


async def test_a_store_that_is_away_makes_no_device_offline(
    own_store: EmbeddedStore, start_node: StartNode, eventually: Eventually
) -> None:
    node = await start_node(store=own_store.url)
    asker, seen, stranger = SigningDevice(), SigningDevice(), SigningDevice()
    await let_see(node, seen, asker)
    async with asker.connect(node.url) as link, seen.connect(node.url):
        assert await watch(link, seen) == [PresenceState.ONLINE]
        (online,) = await see(link, seen)
        with frozen(own_store):
            assert await told(link) == [(seen.client, PresenceState.UNKNOWN, None)]
            states = [one.state for one in await see(link, seen, stranger)]
            assert states == [PresenceState.UNKNOWN, PresenceState.UNKNOWN]
            # However long it lasts: it is said within a second, and the time last known stands.
            await eventually(lambda: not node.context.nodes.acting())
            later = await see(link, seen)
            assert (later[0].state, later[0].since) == (PresenceState.UNKNOWN, online.since)
        assert await told(link) == [(seen.client, PresenceState.ONLINE, None)]


async def test_a_device_that_leaves_watches_no_more(node: Node, eventually: Eventually) -> None:
    asker, seen = SigningDevice(), SigningDevice()
    async with asker.connect(node.url) as link:
        await watch(link, seen)
        assert list(node._watching._table)
    await eventually(lambda: not list(node._watching._table))


async def test_more_than_the_limit_cannot_be_watched(node: Node) -> None:
    asker, target = SigningDevice(), SigningDevice()
    async with asker.connect(node.url) as link:
        reply = await link.ask_any(Who(id=0, clients=(target.client,) * 257))
        assert isinstance(reply, Error)
