"""A hub that does not take what a device states: the device says it again, and its person hears what to do."""

import asyncio
import os
from pathlib import Path

import pytest
from tests.attacks.dishonest_hub.test_terminal import OTHER, device_at, run_to_end
from tests.integration.client.conftest import WAIT_S, free_port
from tests.integration.client.scripted_hub import Play, replying, scripted_hub

from muster_client import Agent, Device
from muster_client.connection import backoff
from muster_client.events import Published
from muster_protocol.frames import (
    Error,
    ListSessions,
    ListStatements,
    Ok,
    PutStatement,
    Reply,
    Request,
    SessionsReply,
    Statements,
)
from muster_protocol.ids import ClientId, Fingerprint
from muster_protocol.keys import SigningKey
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason

PEER = ClientId(OTHER)


def refusing(times: int, reason: Reason = Reason.MALFORMED, retry_after_ms: int | None = None) -> Play:
    """Return a hub that refuses an ``untrust`` so often."""
    left = iter(range(times))

    def reply_to(request: Request) -> Reply:
        if isinstance(request, ListStatements):
            return Statements(re=request.id, statements=(), more=False)
        if isinstance(request, ListSessions):
            return SessionsReply(re=request.id, sessions=(), more=False)
        untrust = isinstance(request, PutStatement) and request.kind is Kind.UNTRUST
        if untrust and next(left, None) is not None:
            return Error(re=request.id, reason=reason, retry_after_ms=retry_after_ms)
        return Ok(re=request.id)

    return replying(reply_to)


@pytest.mark.parametrize("standing", [None, Reason.CLONE_SUSPECTED])
async def test_no_untrust_waits_for_the_next_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, standing: Reason | None
) -> None:
    monkeypatch.setattr(backoff, "BASE_S", 0.01)
    monkeypatch.setattr("muster_client.agent.LOOK_EVERY_S", 0.02)
    port = free_port()
    with Device.create(tmp_path / "laptop", hub_url=f"ws://127.0.0.1:{port}") as device:
        device.peers.trust(PEER, Fingerprint(bytes(32)), "nas")
        hub = scripted_hub(port, refusing(3), standing=standing)
        async with hub, Agent.open(device) as agent, asyncio.timeout(WAIT_S):
            await agent.connected()
            since = agent.status().connected_since
            device.peers.untrust(PEER)
            events = agent.events()
            await agent.publish()
            assert agent.status().unpublished == 1
            async for event in events:
                if isinstance(event, Published):
                    break
            assert agent.status().unpublished == 0
            assert agent.status().connected_since == since


async def test_a_hub_with_another_key_is_not_passed_over(tmp_path: Path) -> None:
    port = free_port()
    pinned, other = (SigningKey.from_secret(os.urandom(32)) for _ in range(2))
    async with device_at(tmp_path / "laptop", port) as folder:
        async with scripted_hub(port, refusing(0), key=pinned):
            assert (await run_to_end(folder, "grant", "add", "nas"))[0] == 0
        async with scripted_hub(port, refusing(0), key=other):
            code, said = await run_to_end(folder, "grant", "revoke", "nas")
        assert code == 1
        assert "muster hub trust" in said
        assert "Nothing to do" not in said


@pytest.mark.parametrize(("reason", "code"), [(Reason.RATE_LIMITED, 0), (Reason.MALFORMED, 1)])
async def test_a_person_has_to_act_only_where_the_agent_cannot_send_it_later(
    tmp_path: Path, reason: Reason, code: int
) -> None:
    port = free_port()
    async with device_at(tmp_path / "laptop", port) as folder, scripted_hub(port, refusing(1, reason, 3_600_000)):
        assert (await run_to_end(folder, "trust", "remove", "nas", "--json"))[0] == code
