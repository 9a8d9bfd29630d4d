"""A hub that turns a request away for a moment, so that it comes again although the person takes it back meanwhile.

What a device sends because of its own decision it decides again each time, so the hub gets it once.
"""

import asyncio
from collections.abc import Callable

import pytest
from tests.integration.client.conftest import WAIT_S, befriend, devices, open_agent, settled

from muster_client import SessionRequest
from muster_client.connection import tries
from muster_client.events import Progress
from muster_hub.connections.dispatch import Dispatch
from muster_hub.routing.caller import Caller
from muster_protocol.exchange import Answer
from muster_protocol.frames import Admit, Error, Reply, Request, SendAnswer, SendInvites, SendJoined, SendLeave
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.signed import read

__all__ = ["devices", "open_agent"]


class PatientHub:
    """What reached a hub that turns away the first request of one kind, of which it tells the person at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: type[Request], take_back: Callable[[], object]) -> None:
        self.reached = asyncio.Queue[Request]()
        serve, self._kind, self._take_back, self._turned = Dispatch._serve, kind, take_back, False

        async def serving(dispatch: Dispatch, caller: Caller, request: Request, size: int) -> Reply:
            self.reached.put_nowait(request)
            return self._turn_away(request) or await serve(dispatch, caller, request, size)

        monkeypatch.setattr(Dispatch, "_serve", serving)
        monkeypatch.setattr(tries, "MIN_PAUSE_S", 0.001)

    def _turn_away(self, request: Request) -> Error | None:
        if self._turned or not isinstance(request, self._kind):
            return None
        self._turned = True
        self._take_back()
        return Error(re=request.id, reason=Reason.RATE_LIMITED, retry_after_ms=1)

    def all_reached(self) -> list[Request]:
        return [self.reached.get_nowait() for _ in range(self.reached.qsize())]


@pytest.mark.parametrize("kind", [SendInvites, Admit])
async def test_no_invite_and_no_key_comes_again_for_a_device_that_its_creator_trusts_no_more(
    devices, open_agent, monkeypatch: pytest.MonkeyPatch, kind: type[Request]
) -> None:
    laptop, nas = devices("laptop"), devices("nas")
    befriend(laptop, nas)
    caller, _ = await open_agent(laptop), await open_agent(nas)
    hub = PatientHub(monkeypatch, kind, lambda: laptop.peers.untrust(nas.client))
    session = await caller.start_session(SessionRequest((nas.client,)))
    shown = (await settled(session))[nas.client]
    assert (shown.state, shown.reason, shown.sayer) == (Progress.REFUSED, Reason.NOT_TRUSTED, Sayer.DEVICE)
    assert sum(isinstance(request, kind) for request in hub.all_reached()) == 1


def refuses(request: Request) -> bool:
    return isinstance(request, SendAnswer) and read(request.answer, Answer).reason is not None


@pytest.mark.parametrize("kind", [SendAnswer, SendJoined])
async def test_no_yes_and_no_receive_key_comes_again_from_a_device_that_trusts_the_creator_no_more(
    devices, open_agent, monkeypatch: pytest.MonkeyPatch, kind: type[Request]
) -> None:
    laptop, nas = devices("laptop"), devices("nas")
    befriend(laptop, nas)
    caller, _ = await open_agent(laptop), await open_agent(nas)
    hub = PatientHub(monkeypatch, kind, lambda: nas.peers.untrust(laptop.client))
    await caller.start_session(SessionRequest((nas.client,)))
    given = list[Request]()
    async with asyncio.timeout(WAIT_S):
        while not isinstance(request := await hub.reached.get(), SendLeave) and not refuses(request):
            given.append(request)
    assert sum(isinstance(request, kind) for request in given) == 1
