"""A hub whose lists do not end, repeat, or name what was not asked about: no device reads on, and none shows them."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.integration.client.conftest import free_port
from tests.integration.client.scripted_hub import replying, scripted_hub

from muster_client import Device, Hub
from muster_client.device.clock import now_ms
from muster_client.errors import ReplyUnreadable
from muster_protocol.cards import Mode
from muster_protocol.frames import (
    Error,
    KindAndStatement,
    ListSessions,
    ListStatements,
    Ok,
    Presence,
    PresencePush,
    PresenceReply,
    PresenceState,
    PutStatement,
    Reply,
    Request,
    SessionsReply,
    SessionSummary,
    Statements,
    Watch,
    Who,
)
from muster_protocol.governance import Trust
from muster_protocol.ids import ClientId, Fingerprint, Serial, SessionId, TimeMs
from muster_protocol.keys import SigningKey
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import sign

FRIEND, OTHER = ClientId("a" * 32), ClientId("b" * 32)
Answer = Callable[[Request], Reply]


def online(client: ClientId) -> Presence:
    return Presence(client, PresenceState.ONLINE, now_ms(), None)


def session(letter: str) -> SessionSummary:
    now = now_ms()
    return SessionSummary(SessionId(letter * 32), FRIEND, Mode.JOIN, None, True, now, TimeMs(now + 1000), (FRIEND,))


def page() -> tuple[KindAndStatement, ...]:
    key = SigningKey.from_secret(os.urandom(32))
    trust = Trust(client=OTHER, serial=Serial(1), peer=FRIEND, peer_key=Fingerprint(bytes(32)))
    return (KindAndStatement(Kind.TRUST, sign(trust, key)),)


@asynccontextmanager
async def answering(path: Path, answer: Answer, then: Sequence[PresencePush] = ()) -> AsyncIterator[Device]:
    """Give a device whose hub answers so; it sends ``then`` after the reply to ``watch``."""
    port = free_port()
    with Device.create(path / "laptop", hub_url=f"ws://127.0.0.1:{port}") as device:
        async with scripted_hub(port, replying(answer, after_watch=then), changes=7):
            yield device


async def test_no_page_that_repeats_is_read_a_third_time(tmp_path: Path) -> None:
    asked: list[Request] = []
    repeated = page()

    def answer(request: Request) -> Reply:
        asked.append(request)
        if isinstance(request, ListStatements):
            return Statements(re=request.id, statements=repeated, more=True)
        return Ok(re=request.id)

    async with answering(tmp_path, answer) as device, Hub.connect(device):
        assert [type(request) for request in asked].count(ListStatements) == 2


async def test_refused_restrictions_have_a_device_read_its_statements_once(tmp_path: Path) -> None:
    asked: list[Request] = []

    def answer(request: Request) -> Reply:
        asked.append(request)
        if isinstance(request, ListStatements):
            return Statements(re=request.id, statements=(), more=False)
        if isinstance(request, PutStatement) and request.kind is Kind.UNTRUST:
            return Error(re=request.id, reason=Reason.REPLAYED)
        return Ok(re=request.id)

    async with answering(tmp_path, answer) as device:
        for peer in (FRIEND, OTHER):
            device.peers.trust(peer, Fingerprint(bytes(32)), peer[:4])
            device.peers.untrust(peer)
        device.mark_synced(7)
        async with Hub.connect(device) as hub:
            assert [one.reason for one in hub.published if one.kind is Kind.UNTRUST] == [Reason.REPLAYED] * 2
    assert [type(request) for request in asked].count(ListStatements) == 1


UNASKED: dict[str, tuple[Answer, Callable[[Hub], Awaitable[object]]]] = {
    "another device": (
        lambda request: PresenceReply(re=request.id, devices=(online(OTHER),)),
        lambda hub: hub.who([FRIEND]),
    ),
    "one device more": (
        lambda request: PresenceReply(re=request.id, devices=(online(FRIEND), online(OTHER))),
        lambda hub: hub.who([FRIEND]),
    ),
    "one device less": (lambda request: PresenceReply(re=request.id, devices=()), lambda hub: hub.who([FRIEND])),
    "a session twice": (
        lambda request: SessionsReply(re=request.id, sessions=(session("a"), session("a")), more=False),
        lambda hub: hub.sessions(),
    ),
    "the first page again": (
        lambda request: SessionsReply(re=request.id, sessions=(session("a"),), more=True),
        lambda hub: hub.sessions(),
    ),
}


@pytest.mark.parametrize(("reply", "ask"), UNASKED.values(), ids=UNASKED)
async def test_no_list_of_something_else_is_taken(
    tmp_path: Path, reply: Answer, ask: Callable[[Hub], Awaitable[object]]
) -> None:
    def answer(request: Request) -> Reply:
        return reply(request) if isinstance(request, Who | ListSessions) else Ok(re=request.id)

    async with answering(tmp_path, answer) as device:
        device.mark_synced(7)
        async with Hub.connect(device) as hub:
            with pytest.raises(ReplyUnreadable):
                await ask(hub)


async def test_no_device_is_reported_that_is_not_watched(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        devices = (online(FRIEND),)
        return PresenceReply(re=request.id, devices=devices) if isinstance(request, Watch) else Ok(re=request.id)

    pushes = (PresencePush(devices=(online(OTHER),)), PresencePush(devices=(online(OTHER), online(FRIEND))))
    async with answering(tmp_path, answer, pushes) as device:
        device.mark_synced(7)
        async with Hub.connect(device) as hub:
            shown = hub.watch([FRIEND])
            for _ in range(2):
                assert [one.client for one in await anext(shown)] == [FRIEND]
