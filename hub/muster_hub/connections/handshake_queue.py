"""The queue of opening handshakes: a few at a time, a bounded number that wait, and a refusal for the rest.

Checking a ``hello`` costs the hub two signatures, and up to 64 more for a device that has changed its key. Connected
devices wait meanwhile. So few signatures are checked in each turn of the event loop, and others are served in between.
A device that finds the queue full is told when to come back, each at a time of its own; that costs one signature.
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
SIGNATURES_PER_TURN = 4
"""Signatures that are checked in one turn of the event loop: about half a millisecond."""
COME_BACK_FROM_MS = 1_000
COME_BACK_UNTIL_MS = 10_000
"""A device that finds the queue full is told to come back after a random time between these two."""


class HandshakeRefused(Exception):
    """Raised when a handshake is refused: the reason, its close code, and when to come back, if at all.

    ``dialled`` is the origin of a device that dialled a wrong one, for the log.
    """

    def __init__(self, reason: Reason, retry_after_ms: int | None = None, dialled: str | None = None) -> None:
        self.code = code_of(reason)
        super().__init__(f"{reason} ({self.code.name})")
        self.reason = reason
        self.retry_after_ms = retry_after_ms
        self.dialled = dialled


class HandshakeQueue:
    """The places for devices that are being admitted, and the queue for them."""

    __slots__ = ("_checks", "_giving_turns", "_loop", "_places", "_waiting", "_waiting_limit")

    def __init__(self, places: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._places = asyncio.Semaphore(places)
        # Of those that hold a place, so never longer than that: each with the number of signatures that it waits for.
        self._checks: deque[tuple[asyncio.Future[None], int]] = deque()
        self._giving_turns = False
        self._waiting = 0
        self._waiting_limit = places * WAITING_PER_PLACE

    @property
    def waiting(self) -> int:
        """Devices that wait for a place."""
        return self._waiting

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place and hold it for the body. Raises ``HandshakeRefused`` where too many wait."""
        await self._take_place()
        try:
            yield
        finally:
            self._places.release()

    async def turn(self, signatures: int) -> None:
        """Wait, with a place, until so many signatures may be checked; they are checked before anything is awaited."""
        check = self._loop.create_future()
        self._checks.append((check, signatures))
        if not self._giving_turns:
            self._giving_turns = True
            self._loop.call_soon(self._give_turns)
        await check

    async def _take_place(self) -> None:
        if self._waiting >= self._waiting_limit:
            raise overloaded()
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_LIMIT_S):
                await self._places.acquire()
        except TimeoutError:
            raise overloaded() from None
        finally:
            self._waiting -= 1

    def _give_turns(self) -> None:
        left = SIGNATURES_PER_TURN
        while self._checks and left > 0:
            check, signatures = self._checks.popleft()
            if not check.done():  # cancelled, as when the node ends
                check.set_result(None)
                left -= signatures
        self._giving_turns = bool(self._checks)
        if self._giving_turns:
            self._loop.call_soon(self._give_turns)


def overloaded(wait_ms: int = 0) -> HandshakeRefused:
    """Return the refusal that tells a device to come back, at a time of its own after ``wait_ms``."""
    come_back_ms = random.randint(COME_BACK_FROM_MS, COME_BACK_UNTIL_MS)  # noqa: S311 - spreads load, guards nothing
    return HandshakeRefused(Reason.OVERLOADED, wait_ms + come_back_ms)
