"""The queue of opening handshakes: a few at a time, a bounded number that wait, and a refusal for the rest.

Checking a ``hello`` costs the hub two signatures or more, and connected devices wait meanwhile. So few are checked in
each turn of the event loop, and others are served in between. A device that finds the queue full is told when to come
back, each at a time of its own; that costs one signature.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from muster_protocol.closes import code_of
from muster_protocol.reasons import Reason

WAITING_PER_PLACE = 16
"""Devices that may wait for each place; 64 places empty such a queue in about a second."""
WAIT_LIMIT_S = 2.0
"""How long a device waits for a place before it is refused: short, also if the store is slow."""
CHECKS_PER_TURN = 2
"""Devices whose signatures are checked in one turn of the event loop: about half a millisecond."""
COME_BACK_FROM_MS = 1_000
COME_BACK_UNTIL_MS = 10_000
"""A device that finds the queue full is told to come back after a random time between these two."""


class HandshakeRefused(Exception):
    """Raised when a handshake is refused: the reason, its close code, and when to come back, if at all."""

    def __init__(self, reason: Reason, retry_after_ms: int | None = None) -> None:
        self.code = code_of(reason)
        super().__init__(f"{reason} ({self.code.name})")
        self.reason = reason
        self.retry_after_ms = retry_after_ms


class HandshakeQueue:
    """The places for devices that are being admitted, and the queue for them."""

    __slots__ = ("_checks", "_giving_turns", "_loop", "_places", "_waiting", "_waiting_limit")

    def __init__(self, places: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._places = asyncio.Semaphore(places)
        self._checks: deque[asyncio.Future[None]] = deque()  # of those that hold a place, so never longer than that
        self._giving_turns = False
        self._waiting = 0
        self._waiting_limit = places * WAITING_PER_PLACE

    @property
    def waiting(self) -> int:
        """Devices that wait for a place."""
        return self._waiting

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a place, then until signatures may be checked; hold the place for the body.

        The body checks the signatures before it waits for anything. Raises ``HandshakeRefused`` where too many wait.
        """
        await self._take_place()
        try:
            await self._until_checked()
            yield
        finally:
            self._places.release()

    async def _take_place(self) -> None:
        if self._waiting >= self._waiting_limit:
            raise _overloaded()
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_LIMIT_S):
                await self._places.acquire()
        except TimeoutError:
            raise _overloaded() from None
        finally:
            self._waiting -= 1

    async def _until_checked(self) -> None:
        check = self._loop.create_future()
        self._checks.append(check)
        if not self._giving_turns:
            self._giving_turns = True
            self._loop.call_soon(self._give_turns)
        await check

    def _give_turns(self) -> None:
        for _ in range(min(CHECKS_PER_TURN, len(self._checks))):
            check = self._checks.popleft()
            if not check.done():  # cancelled, as when the node ends
                check.set_result(None)
        self._giving_turns = bool(self._checks)
        if self._giving_turns:
            self._loop.call_soon(self._give_turns)


def _overloaded() -> HandshakeRefused:
    come_back_ms = random.randint(COME_BACK_FROM_MS, COME_BACK_UNTIL_MS)  # noqa: S311 - spreads load, guards nothing
    return HandshakeRefused(Reason.OVERLOADED, come_back_ms)
