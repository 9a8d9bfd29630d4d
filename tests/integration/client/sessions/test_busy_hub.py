"""A hub that turns requests away for a while: no step of a session that an agent takes by itself ends over it."""

from collections import Counter

import pytest
from tests.integration.client.conftest import all_joined, befriend, settled, until
from tests.integration.hub.conftest import hub_settings, node, start_node

from muster_client import SessionRequest
from muster_client.connection import tries
from muster_client.events import Connected
from muster_hub.connections.dispatch import Dispatch
from muster_hub.routing.caller import Caller
from muster_protocol.frames import Admit, Error, Reply, Request, SendAnswer, SendInvites, SendJoined
from muster_protocol.reasons import Reason

__all__ = ["hub_settings", "node", "start_node"]

TURNED_AWAY = 2 * tries.MAX_TRIES


def be_busy(monkeypatch: pytest.MonkeyPatch, *kinds: type[Request], times: int = TURNED_AWAY) -> None:
    """Have the hub turn away the first requests of these kinds, of each device."""
    serve = Dispatch._serve
    asked: Counter[tuple[str, type[Request]]] = Counter()

    async def serving(self: Dispatch, caller: Caller, request: Request, size: int) -> Reply:
        asked[caller.client, type(request)] += 1
        if type(request) in kinds and asked[caller.client, type(request)] <= times:
            return Error(re=request.id, reason=Reason.RATE_LIMITED, retry_after_ms=1)
        return await serve(self, caller, request, size)

    monkeypatch.setattr(Dispatch, "_serve", serving)
    monkeypatch.setattr(tries, "MIN_PAUSE_S", 0.001)


@pytest.mark.parametrize("kind", [SendInvites, SendAnswer, Admit, SendJoined])
async def test_a_session_comes_about_at_a_hub_that_turns_each_step_away_for_a_while(
    devices, open_agent, monkeypatch: pytest.MonkeyPatch, kind: type[Request]
) -> None:
    laptop, nas = devices("laptop"), devices("nas")
    befriend(laptop, nas)
    caller, _ = await open_agent(laptop), await open_agent(nas)
    be_busy(monkeypatch, kind)
    session = await caller.start_session(SessionRequest((nas.client,)))
    await settled(session)
    await all_joined(session, laptop.client, nas.client)


async def test_an_answer_that_is_turned_away_for_longer_than_a_request_waits_is_sent_at_the_next_connect(
    devices, open_agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    laptop, nas = devices("laptop"), devices("nas")
    befriend(laptop, nas)
    caller, called = await open_agent(laptop), await open_agent(nas)
    events = called.events()
    monkeypatch.setattr(tries, "MAX_WAIT_S", 0.01)
    be_busy(monkeypatch, SendAnswer)
    session = await caller.start_session(SessionRequest((nas.client,)))
    await settled(session)
    await all_joined(session, laptop.client, nas.client)
    await until(events, Connected)
