"""The waits between two tries, and why there is no connection meanwhile (SPEC.md section 3.4)."""

import asyncio
import random
import time

from muster_client.connection.backoff import Backoff
from muster_client.connection.loss import Loss
from muster_client.device.clock import DeviceClock
from muster_client.errors import HubUnreachable, NoReply, Trouble, no_reply
from muster_client.events import Broadcast, Disconnected, Event
from muster_client.views import Drop
from muster_protocol.closes import NextTry


class Retries:
    """Waits before each new try. A wake-up ends the wait, but not that of a process whose place another one took."""

    def __init__(self, clock: DeviceClock, events: Broadcast[Event]) -> None:
        self._clock = clock
        self._events = events
        self._backoff = Backoff()
        self._random = random.SystemRandom()
        self._awake = asyncio.Event()
        self.last_drop: Drop | None = None
        """Why there was no connection the last time that there was none."""

    def connected(self) -> None:
        """Record that the hub said welcome."""
        self._awake.clear()
        self._backoff.connected(time.monotonic())

    def wake(self) -> None:
        """End the wait that goes on, or skip the next one."""
        self._awake.set()

    async def wait(self, loss: Loss) -> None:
        """Announce why there is no connection, then wait until the next try is due."""
        if loss.slow:
            self._backoff.longest()
        self._backoff.lost(time.monotonic())
        delay_s = self._backoff.delay_s(self._random.random(), at_least_s=loss.at_least_s)
        self.last_drop = Drop(at=self._clock(), cause=loss.cause, reason=loss.reason, sentence=loss.sentence)
        self._events.tell(
            Disconnected(cause=loss.cause, retry_in_s=delay_s, reason=loss.reason, sentence=loss.sentence)
        )
        if loss.next_try is NextTry.NEW_INSTANCE:
            # Not even a wake-up makes it come back earlier: another copy of the device may be woken up just as often.
            await sleep_out(delay_s)
            return
        try:
            async with asyncio.timeout(delay_s):
                await self._awake.wait()
        except TimeoutError:
            return
        # One wake-up is good for one try: if that fails at once, the next one waits.
        self._awake.clear()

    def error(self) -> NoReply:
        """Return the error that says why there is no connection, as far as that is known."""
        drop = self.last_drop
        if drop is None or not drop.sentence:
            return HubUnreachable("no connection to the hub")
        known = drop.cause in set(Trouble)
        return no_reply(drop.sentence, Trouble(drop.cause) if known else Trouble.HUB_UNREACHABLE)


async def sleep_out(delay_s: float) -> None:
    """Wait for the whole time; nothing ends it earlier."""
    await asyncio.sleep(delay_s)
