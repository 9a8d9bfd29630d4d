"""What a device does that means to get through: the same request again until the hub has an answer."""

import asyncio
from typing import TypeVar

from tests.integration.hub.device import DeviceLink

from muster_protocol.frames import Error, InviteResults, Push, Reply, Request
from muster_protocol.reasons import Reason

AGAIN_AFTER_S = 0.05
PATIENCE_S = 60.0
_PASSING = {Reason.STORE_UNAVAILABLE, Reason.RATE_LIMITED, Reason.OVERLOADED}

P = TypeVar("P", bound=Push)


class PatientLine:
    """A link that asks again, with the very same request, where the hub could not tell. ``repeats`` counts that."""

    def __init__(self, link: DeviceLink) -> None:
        self.link = link
        self.repeats = 0

    async def ask_any(self, request: Request) -> Reply:
        async with asyncio.timeout(PATIENCE_S):
            while _passes(reply := await self.link.ask_any(request)):
                self.repeats += 1
                await asyncio.sleep(AGAIN_AFTER_S)
        return reply

    async def next_push(self, expected: type[P]) -> P:
        return await self.link.next_push(expected)

    def waiting(self, expected: type[P]) -> list[P]:
        return self.link.waiting(expected)


def _passes(reply: Reply) -> bool:
    if isinstance(reply, InviteResults):
        return any(result.reason in _PASSING for result in reply.results)
    return isinstance(reply, Error) and reply.reason in _PASSING
