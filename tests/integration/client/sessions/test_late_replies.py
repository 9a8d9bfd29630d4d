"""A creator that hears that an epoch is committed only after what followed from it: the hub's reply may come behind.

The reply is held back inside the creator, since a real hub is rarely slow just there.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.integration.client.conftest import WAIT_S, befriend, settled, until

from muster_client import Agent, SessionRequest
from muster_client.connection.link import Link
from muster_client.events import Progress, SessionJoined
from muster_client.sessions.hosted import HostedSession
from muster_protocol.frames import Admit


class HeldAdmitReply:
    """The first reply to ``admit`` waits for ``release``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.release = asyncio.Event()
        self.came = asyncio.Event()
        ask: Callable[..., Awaitable[Any]] = Link.ask

        async def held(link: Link, request: Any, reply: Any, *given: Any, **named: Any) -> Any:
            answer = await ask(link, request, reply, *given, **named)
            if isinstance(request, Admit) and not self.came.is_set():
                self.came.set()
                async with asyncio.timeout(WAIT_S):
                    await self.release.wait()
            return answer

        monkeypatch.setattr(Link, "ask", held)

    def until_called(self, monkeypatch: pytest.MonkeyPatch, name: str) -> asyncio.Event:
        """Return an event that is set once a creator's session was told that by its hub."""
        called = asyncio.Event()
        told: Callable[..., Any] = getattr(HostedSession, name)

        def tell(session: HostedSession, *said: Any) -> Any:
            called.set()
            return told(session, *said)

        monkeypatch.setattr(HostedSession, name, tell)
        return called


async def test_a_newcomer_may_join_before_the_creator_knows_that_it_is_in(
    make_device, open_agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    caller, called = await open_agent(laptop), await open_agent(nas)
    held = HeldAdmitReply(monkeypatch)
    heard = held.until_called(monkeypatch, "on_joined")
    joined = called.events()
    session = await caller.start_session(SessionRequest((nas.client,)))
    await until(joined, SessionJoined, session=session.id)
    async with asyncio.timeout(WAIT_S):
        await heard.wait()
    assert session.targets[nas.client].state is Progress.ACCEPTED
    held.release.set()
    assert (await settled(session))[nas.client].state is Progress.JOINED
    assert called.sessions()[0].export_key("app") == session.export_key("app")


async def test_a_new_process_may_ask_for_its_key_before_the_creator_knows_that_it_is_in(
    make_device, open_agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    caller = await open_agent(laptop)
    held = HeldAdmitReply(monkeypatch)
    async with Agent.open(nas) as first:
        await first.connected()
        joined = first.events()
        session = await caller.start_session(SessionRequest((nas.client,)))
        await until(joined, SessionJoined, session=session.id)
        await held.came.wait()
    asked = held.until_called(monkeypatch, "on_update")
    again = await open_agent(nas)
    joined = again.events()
    async with asyncio.timeout(WAIT_S):
        await asked.wait()
    held.release.set()
    if not again.sessions():
        await until(joined, SessionJoined, session=session.id)
    updates = session.updates()
    async with asyncio.timeout(WAIT_S):
        while again.sessions()[0].epoch != session.epoch or session.targets[nas.client].state is not Progress.JOINED:
            await anext(updates)
    assert again.sessions()[0].export_key("app") == session.export_key("app")
