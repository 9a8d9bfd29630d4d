"""One shard of the store: one connection, one pipeline in flight, and the queue of calls for the next one.

A task of its own, `serve`, connects, sends and receives; callers queue a call and wait for its answer. So an error, or
a caller that gives up, touches one call and never the connection. Nothing is sent twice, but for a call that the store
said it did not carry out, since it did not know the script.
"""

import asyncio
import random
from collections.abc import Sequence

import structlog

from muster_hub.store.clock import StoreClock
from muster_hub.store.errors import StoreCause, StoreUnavailable
from muster_hub.store.keys import slot_tag
from muster_hub.store.pipeline import Pipeline, StoreCall
from muster_hub.store.scripts import Script
from muster_hub.store.urls import Address
from muster_hub.store.waiting import Waiting
from muster_hub.store.wire import Reply, Wire, WireLostError, Word, pack

CALL_TIMEOUT_S = 1.0  # a caller has its answer, or hears that there is none, within this time
FAIL_FAST_S = 0.2  # for this long after a failed attempt to connect, calls are refused at once
RECONNECT_MIN_S = 0.05
RECONNECT_MAX_S = 2.0
CLOCK_REFRESH_MS = 30_000  # and at once when a call was late: the store's clock may have been set

_log = structlog.get_logger(__name__)


class Shard:
    """The calls to one primary of the store, carried out in the order in which they were made."""

    __slots__ = (
        "_address",
        "_away",
        "_clock",
        "_closed",
        "_failed_at_s",
        "_known",
        "_loop",
        "_store_replicas",
        "_waiting",
        "_wake",
        "_wire",
    )

    def __init__(self, address: Address, clock: StoreClock, *, store_replicas: int = 0) -> None:
        self._address = address
        self._store_replicas = store_replicas
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._waiting = Waiting()
        self._wake = asyncio.Event()
        self._known: set[bytes] = set()
        self._wire: Wire | None = None
        self._away = StoreCause.AWAY
        self._failed_at_s: float | None = None
        self._closed = False

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as its last use told."""
        return self._wire is not None

    def submit(self, script: Script, keys: Sequence[bytes], args: Sequence[Word]) -> asyncio.Future[Reply]:
        """Queue a call; its answer comes through the future. StoreUnavailable at once when it cannot be queued."""
        now_s = self._loop.time()
        refusal = self._refusal(now_s)
        if refusal is not None:
            raise StoreUnavailable(refusal, outcome_unknown=False)
        packed = pack(b"EVALSHA", script.sha1, len(keys), *keys, *args)
        call = StoreCall(script, slot_tag(keys[0]), packed, self._loop.create_future(), now_s)
        self._waiting.add(call)
        self._wake.set()
        return call.answer

    async def serve(self) -> None:
        """Connect, send, receive, and connect again, until cancelled."""
        try:
            while True:
                await self._serve_connection(await self._connect())
        finally:
            self._closed = True
            self._waiting.refuse_all(StoreCause.CLOSED)

    def _refusal(self, now_s: float) -> StoreCause | None:
        if self._closed:
            return StoreCause.CLOSED
        if self._failed_at_s is not None and now_s - self._failed_at_s < FAIL_FAST_S:
            return self._away
        if self._waiting.full:
            return StoreCause.OVERLOADED
        return None

    async def _connect(self) -> Wire:
        """Try until there is a connection; each attempt that fails refuses the calls that waited for it."""
        pause_s = RECONNECT_MIN_S
        while True:
            try:
                return await self._attempt()
            except WireLostError as error:
                self._attempt_failed(error.cause)
            # Jitter keeps the nodes of a hub from coming back all at once.
            await self._pause(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, guards nothing
            pause_s = min(pause_s * 2, RECONNECT_MAX_S)

    async def _attempt(self) -> Wire:
        wire = Wire(self._address)
        try:
            # Whoever waits for this attempt has its answer in time, whatever becomes of it.
            async with asyncio.timeout_at((self._waiting.oldest_s or self._loop.time()) + CALL_TIMEOUT_S):
                await wire.connect()
                self._clock.take(await wire.ask(b"TIME"))
        except TimeoutError:
            await wire.close()
            raise WireLostError(StoreCause.TIMEOUT, "connecting") from None
        except BaseException:
            await wire.close()
            raise
        if self._failed_at_s is not None:
            _log.info("store_connected", store=self._address.describe())
        self._failed_at_s = None
        self._known.clear()
        self._wire = wire
        return wire

    def _attempt_failed(self, cause: StoreCause) -> None:
        if self._failed_at_s is None:
            _log.warning("store_away", store=self._address.describe(), cause=cause)
        self._failed_at_s = self._loop.time()
        self._away = cause
        self._waiting.refuse_all(cause)

    async def _pause(self, seconds: float) -> None:
        # A call that comes after FAIL_FAST_S ends the pause: it is worth an attempt of its own.
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _serve_connection(self, wire: Wire) -> None:
        """Send pipelines until the connection is lost, then close it."""
        try:
            while True:
                if not self._waiting:
                    self._wake.clear()
                    await self._wake.wait()
                await self._turn(wire)
        except WireLostError as error:
            _log.warning("store_connection_lost", store=self._address.describe(), cause=error.cause)
            if error.cause is StoreCause.TIMEOUT:
                self._waiting.refuse_all(StoreCause.TIMEOUT)
        finally:
            self._wire = None
            await wire.close()
            self._waiting.shed(self._loop.time())

    async def _turn(self, wire: Wire) -> None:
        """Send what waits as one pipeline and answer every call; WireLostError when the connection is lost."""
        if await wire.is_stale():
            raise WireLostError(StoreCause.LOST, "closed while idle")
        calls = self._waiting.take(self._loop.time())
        if not calls:
            return
        pipeline = Pipeline(calls, self._known, store_replicas=self._store_replicas)
        try:
            async with asyncio.timeout_at(calls[0].since_s + CALL_TIMEOUT_S):
                await wire.send(pipeline.chunks)
                for _ in range(pipeline.replies):
                    pipeline.take(await wire.receive())
                if pipeline.is_late or self._clock.age_ms() > CLOCK_REFRESH_MS:
                    self._clock.take(await wire.ask(b"TIME"))
                    pipeline.refuse_late()
        except TimeoutError:
            pipeline.lose(StoreCause.TIMEOUT)
            raise WireLostError(StoreCause.TIMEOUT, "no reply") from None
        except WireLostError as error:
            pipeline.lose(error.cause)
            raise
        except BaseException:
            pipeline.lose(StoreCause.CLOSED)
            raise
        self._waiting.put_back(pipeline.again())
