"""A planned stop of one node: devices are told when to come back, then are closed in batches, each after its replies.

    /readyz says so -> grace -> no new sockets -> goaway to all -> batch by batch: answered, closed -> none left

Nothing that was acknowledged is lost by it, and what was asked and not answered is asked again elsewhere.
"""

import asyncio
import random
from collections.abc import Callable, Sequence

import structlog

from muster_hub.listener import DRAIN_BATCH, DRAIN_PAUSE_S, Listener
from muster_hub.presence.departures import Departures
from muster_hub.routing.router import Router
from muster_hub.routing.services import LocalConnection
from muster_hub.store.adapter import Store
from muster_hub.store.errors import StoreUnavailable
from muster_protocol.closes import CloseCode
from muster_protocol.frames import Goaway, encode_frame

RETURNS_PER_S = 500
"""Devices that are asked to come back in the same second: half of what one node admits."""
MIN_SPREAD_S = 1.0
MAX_SPREAD_S = 60.0
RETURN_SLACK_MS = 4_000
"""How much later than told a device may come back before it counts as gone."""
ANSWER_WAIT_S = 1.0
"""How long a batch waits for requests that are being served; the store answers within this time or not at all."""
ANSWER_POLL_S = 0.01

_log = structlog.get_logger(__name__)


def spread_s(devices: int) -> float:
    """Return the time span over which so many devices are asked to come back."""
    return min(MAX_SPREAD_S, max(MIN_SPREAD_S, devices / RETURNS_PER_S))


def return_times_ms(devices: int, roll: Callable[[], float]) -> list[int]:
    """Return when each of so many devices is asked to come back, in ms: one in each equal part of the time span.

    ``roll`` gives a number from 0 to 1. Times drawn without parts would leave gaps and crowds.
    """
    part_ms = spread_s(devices) * 1000 / max(1, devices)
    return [int((index + roll()) * part_ms) for index in range(devices)]


class Drain:
    """The planned stop of a node."""

    __slots__ = ("_departures", "_listener", "_router", "_store")

    def __init__(self, store: Store, router: Router, departures: Departures, listener: Listener) -> None:
        self._store = store
        self._router = router
        self._departures = departures
        self._listener = listener

    async def run(self) -> None:
        """Close all connections, and return when none is left."""
        await self._listener.last_call()
        while connections := tuple(self._router):  # again, for those that were being admitted
            _log.info("stopping", connections=len(connections))
            _say_goaway(connections)
            await self._close_all(connections)
        await self._listener.drain(CloseCode.GOING_AWAY)

    async def _close_all(self, connections: Sequence[LocalConnection]) -> None:
        latest_ms = int(spread_s(len(connections)) * 1000) + RETURN_SLACK_MS
        for start in range(0, len(connections), DRAIN_BATCH):
            if start:
                await asyncio.sleep(DRAIN_PAUSE_S)
            await self._expect_back(latest_ms)
            await _close(connections[start : start + DRAIN_BATCH])

    async def _expect_back(self, within_ms: int) -> None:
        try:
            self._departures.expect_back(await self._store.now_ms() + within_ms)
        except StoreUnavailable as error:
            _log.info("return_not_noted", cause=error.cause)


def _say_goaway(connections: Sequence[LocalConnection]) -> None:
    times_ms = return_times_ms(len(connections), random.random)
    for connection, retry_after_ms in zip(connections, times_ms, strict=True):
        connection.send(encode_frame(Goaway(retry_after_ms=retry_after_ms)))


async def _close(batch: Sequence[LocalConnection]) -> None:
    """Stop reading from these connections, answer what was read, and close them."""
    for connection in batch:
        connection.finish()
    loop = asyncio.get_running_loop()
    until_s = loop.time() + ANSWER_WAIT_S
    while any(connection.busy for connection in batch) and loop.time() < until_s:  # noqa: ASYNC110 - once in a life
        await asyncio.sleep(ANSWER_POLL_S)
    for connection in batch:
        connection.close(CloseCode.GOING_AWAY)
