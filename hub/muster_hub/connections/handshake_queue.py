"""Who is let in next when many come at once: a few at a time, a bounded queue behind them, and a word to the rest.

Checking a ``hello`` costs the hub two signatures or more, and whoever is inside waits meanwhile. So few are checked in
each turn of the event loop, between which everybody else is served; and who finds the queue full is told when to come
back, at a moment of its own, which costs one signature.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from muster_protocol.closes import CloseCode
from muster_protocol.reasons import Reason

WAITING_PER_PLACE = 16
"""Devices that may wait for each place; 64 places empty such a queue in about a second."""
WAIT_LIMIT_S = 2.0
"""How long a device waits for a place before it is told to come back: soon, also where the store is slow."""
CHECKS_PER_TURN = 2
"""Devices whose signatures are checked in one turn of the event loop: about half a millisecond."""
COME_BACK_FROM_MS = 1_000
COME_BACK_UNTIL_MS = 10_000
"""Between these two are those told to come back who found the queue full."""


class HandshakeRefused(Exception):
    """Raised when a handshake is refused: the close code, the reason, and when to come back, if at all."""

    def __init__(self, code: CloseCode, reason: Reason, retry_after_ms: int | None = None) -> None:
        super().__init__(f"{reason} ({code.name})")
        self.code = code
        self.reason = reason
        self.retry_after_ms = retry_after_ms


class HandshakeQueue:
    """The places in which devices are being let in, and the queue for them."""

    __slots__ = ("_checks", "_giving_turns", "_loop", "_places", "_waiting", "_waiting_limit")

    def __init__(self, places: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._places = asyncio.Semaphore(places)
        self._checks: deque[asyncio.Future[None]] = deque()  # of those who hold a place, so never longer than that
        self._giving_turns = False
        self._waiting = 0
        self._waiting_limit = places * WAITING_PER_PLACE

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return self._waiting

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place for the body, after those who came before. Raises ``HandshakeRefused`` if too many wait."""
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
        try:
            yield
        finally:
            self._places.release()

    async def turn(self) -> None:
        """Wait until a device's signatures may be checked, without another wait in between."""
        turn = self._loop.create_future()
        self._checks.append(turn)
        if not self._giving_turns:
            self._giving_turns = True
            self._loop.call_soon(self._give_turns)
        await turn

    def _give_turns(self) -> None:
        for _ in range(min(CHECKS_PER_TURN, len(self._checks))):
            turn = self._checks.popleft()
            if not turn.done():  # cancelled, as when the node ends
                turn.set_result(None)
        self._giving_turns = bool(self._checks)
        if self._giving_turns:
            self._loop.call_soon(self._give_turns)


def _overloaded() -> HandshakeRefused:
    come_back_ms = random.randint(COME_BACK_FROM_MS, COME_BACK_UNTIL_MS)  # noqa: S311 - spreads load, guards nothing
    return HandshakeRefused(CloseCode.OVERLOADED, Reason.OVERLOADED, come_back_ms)
