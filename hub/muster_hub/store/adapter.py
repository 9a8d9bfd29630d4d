"""The store as the rest of the hub sees it: reading scripts run through ``run``, writing ones through ``steps``."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from muster_hub.concurrency import alongside
from muster_hub.store.errors import StoreCause, StoreError, StoreUnavailable
from muster_hub.store.scripts import Script
from muster_hub.store.shard import CALL_TIMEOUT_MS, CALL_TIMEOUT_S, Shard
from muster_hub.store.urls import Address, parse
from muster_hub.store.wire import Reply, Word

__all__ = ["CALL_TIMEOUT_MS", "CALL_TIMEOUT_S", "Reply", "Store", "Word", "all_of"]

T = TypeVar("T")


class Store:
    """The store. Today it has one shard; ``_shard_of`` is where the slots of a cluster would be looked up."""

    __slots__ = ("_shard", "address")

    def __init__(self, address: Address, *, store_replicas: int = 0, scripts: Sequence[Script] | None = None) -> None:
        self.address = address
        self._shard = Shard(address, store_replicas=store_replicas, scripts=scripts)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, store_replicas: int = 0, scripts: Sequence[Script] | None = None
    ) -> AsyncIterator["Store"]:
        """Serve a store for the body's time, without a wait until it is reached; raises ``StoreRefused`` for a bad URL.

        With ``store_replicas`` a call whose writes must survive a failover is answered once so many replicas have them.
        ``scripts`` are loaded at each connection, by default those of the hub.
        """
        store = cls(parse(url), store_replicas=store_replicas, scripts=scripts)
        async with alongside(store._shard.serve()):
            yield store

    @property
    def connected(self) -> bool:
        """Whether the store answered when it was last used."""
        return self._shard.connected

    @property
    def full(self) -> bool:
        """Whether the store refused a call for lack of memory a short time ago."""
        return self._shard.full

    async def run(
        self, script: Script, keys: Sequence[bytes], args: Sequence[Word] = (), *, not_after_ms: int | None = None
    ) -> Reply:
        """Run a script on keys of one slot, and return its reply. Outside of this package: scripts that only read.

        Calls to one bucket are carried out in the order in which ``run`` was called. There is an answer within
        CALL_TIMEOUT_S: the reply, ``StoreReplyError`` when the script refused, or ``StoreUnavailable`` when there is
        none. A call is never repeated here. A timed script is not carried out after ``not_after_ms``, by default the
        moment when the caller stops waiting. Raises ``ValueError`` when no key is named.
        """
        if script.timed:
            await self.reached()
        return await self.begin(script, keys, args, not_after_ms=not_after_ms)

    def begin(
        self, script: Script, keys: Sequence[bytes], args: Sequence[Word] = (), *, not_after_ms: int | None = None
    ) -> asyncio.Future[Reply]:
        """Start what ``run`` waits for: the call takes its place in the order now, and the future gets its reply.

        A caller that does not wait for the future has to retrieve its exception. Raises ``StoreUnavailable`` at once
        when the call cannot start; a timed script cannot before the store was ``reached``.
        """
        if not keys:
            raise ValueError("a script touches the slot of its first key")
        return self._shard_of(keys[0]).submit(script, keys, args, not_after_ms)

    async def reached(self) -> None:
        """Wait until the store was reached once, so that its clock is known.

        Raises ``StoreUnavailable`` after CALL_TIMEOUT_S.
        """
        clock = self._shard.clock
        if not clock.known.is_set():
            try:
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    await clock.known.wait()
            except TimeoutError:
                raise StoreUnavailable(StoreCause.AWAY, outcome_unknown=False) from None

    async def now_ms(self) -> int:
        """Return the store's clock in Unix milliseconds, as estimated here; never ahead of the store's own.

        Raises ``StoreUnavailable`` when the store was never reached.
        """
        await self.reached()
        return self._shard.clock.now_ms()

    async def not_after_ms(self) -> int:
        """Return the ``not_after`` of a call made now: the moment when its caller stops waiting."""
        return await self.now_ms() + CALL_TIMEOUT_MS

    def _shard_of(self, _key: bytes) -> Shard:
        return self._shard


async def all_of(started: Iterable[asyncio.Future[T]]) -> list[T]:
    """Start the calls to the store that ``started`` gives, and return their replies in order; none needs a task."""
    calls: list[asyncio.Future[T]] = []
    try:
        calls.extend(started)
        for call in calls:
            with suppress(StoreError):
                await call
        return [call.result() for call in calls]
    finally:
        # If one failed to start or the caller was cancelled, cancel the rest and retrieve their exceptions.
        for call in calls:
            if not call.cancel() and not call.cancelled():
                call.exception()
