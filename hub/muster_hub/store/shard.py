"""One shard of the store: one connection, one pipeline in flight, and the queue of calls for the next one.

A task of its own, ``serve``, connects, sends and receives; callers queue a call and wait for its answer. So an error,
or a caller that gives up, touches one call and never the connection. Nothing is sent twice. A new connection loads
every script first; when the store forgets them, the connection ends.
"""

import asyncio
import random
from collections.abc import Sequence

import structlog

from muster_hub.store.clock import StoreClock
from muster_hub.store.errors import StoreCause, StoreUnavailable
from muster_hub.store.pipeline import Pipeline, StoreCall
from muster_hub.store.scripts import Script, all_scripts
from muster_hub.store.urls import Address
from muster_hub.store.waiting import Waiting
from muster_hub.store.wire import ErrorReply, Reply, Wire, WireLostError, Word, cause_of, pack

CALL_TIMEOUT_S = 1.0  # a call has its answer, or a refusal, within this time
CALL_TIMEOUT_MS = int(CALL_TIMEOUT_S * 1000)
FAIL_FAST_S = 0.2  # for this long after a failed attempt to connect, calls are refused at once
RECONNECT_MIN_S = 0.05
RECONNECT_MAX_S = 2.0
FULL_SHOWN_S = 60.0  # how long a refusal for lack of memory shows in ``full``
CLOCK_REFRESH_MS = 30_000  # and at once when a call was late: the store's clock may have been set

_log = structlog.get_logger(__name__)


class Shard:
    """The calls to one primary of the store, carried out in the order in which they were made."""

    __slots__ = (
        "_address",
        "_away",
        "_closed",
        "_failed_at_s",
        "_full_at_s",
        "_loop",
        "_scripts",
        "_store_replicas",
        "_waiting",
        "_wake",
        "_wire",
        "clock",
    )

    def __init__(self, address: Address, *, store_replicas: int = 0, scripts: Sequence[Script] | None = None) -> None:
        self._address = address
        self._store_replicas = store_replicas
        self._scripts = all_scripts() if scripts is None else scripts
        self.clock = StoreClock()
        self._loop = asyncio.get_running_loop()
        self._waiting = Waiting()
        self._wake = asyncio.Event()
        self._wire: Wire | None = None
        self._away = StoreCause.AWAY
        self._failed_at_s: float | None = None
        self._full_at_s: float | None = None
        self._closed = False

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as of its last use."""
        return self._wire is not None

    @property
    def full(self) -> bool:
        """Whether the store refused a call for lack of memory within FULL_SHOWN_S."""
        return self._full_at_s is not None and self._loop.time() - self._full_at_s < FULL_SHOWN_S

    def submit(
        self, script: Script, keys: Sequence[bytes], args: Sequence[Word], not_after_ms: int | None = None
    ) -> asyncio.Future[Reply]:
        """Queue a call; its answer comes through the future. Raises ``StoreUnavailable`` when it cannot be queued.

        A timed script gets ``not_after`` as its first argument: the moment when its caller stops waiting, by this
        shard's clock, unless ``not_after_ms`` is given.
        """
        now_s = self._loop.time()
        refusal = self._refusal(now_s)
        if refusal is not None:
            raise StoreUnavailable(refusal, outcome_unknown=False)
        if script.timed:
            not_after = self.clock.now_ms() + CALL_TIMEOUT_MS if not_after_ms is None else not_after_ms
            packed = pack(b"EVALSHA", script.sha1, len(keys), *keys, not_after, *args)
        else:
            packed = pack(b"EVALSHA", script.sha1, len(keys), *keys, *args)
        call = StoreCall(script, packed, self._loop.create_future(), now_s)
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
            # A call that waits for this attempt is answered in time, also when the attempt fails.
            async with asyncio.timeout_at((self._waiting.oldest_s or self._loop.time()) + CALL_TIMEOUT_S):
                await wire.connect()
                await self._load_scripts(wire)
                self.clock.take(await wire.ask(b"TIME"))
        except TimeoutError:
            await wire.close()
            raise WireLostError(StoreCause.TIMEOUT, "connecting") from None
        except BaseException:
            await wire.close()
            raise
        if self._failed_at_s is not None:
            _log.info("store_connected", store=self._address.describe())
        self._failed_at_s = None
        self._wire = wire
        return wire

    async def _load_scripts(self, wire: Wire) -> None:
        """Load every script; raises ``WireLostError`` when the store does not take one."""
        await wire.send([pack(b"SCRIPT", b"LOAD", script.source) for script in self._scripts])
        for script in self._scripts:
            reply = await wire.receive()
            if isinstance(reply, ErrorReply):
                raise WireLostError(cause_of(reply) or StoreCause.UNKNOWN_SCRIPT, f"{script.name}: {reply.text}")

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
        """Send what waits as one pipeline and answer every call; raises ``WireLostError`` if the connection is lost."""
        if await wire.is_stale():
            raise WireLostError(StoreCause.LOST, "closed while idle")
        calls = self._waiting.take(self._loop.time())
        if not calls:
            return
        pipeline = Pipeline(calls, store_replicas=self._store_replicas)
        try:
            async with asyncio.timeout_at(calls[0].since_s + CALL_TIMEOUT_S):
                await wire.send(pipeline.chunks)
                for _ in range(pipeline.replies):
                    pipeline.take(await wire.receive())
                if pipeline.is_late or self.clock.age_ms() > CLOCK_REFRESH_MS:
                    self.clock.take(await wire.ask(b"TIME"))
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
        if pipeline.memory_full:
            self._note_full()
        if pipeline.forgot_scripts:
            raise WireLostError(StoreCause.UNKNOWN_SCRIPT, "the store forgot the scripts")

    def _note_full(self) -> None:
        if not self.full:
            _log.warning("store_full", store=self._address.describe())
        self._full_at_s = self._loop.time()
