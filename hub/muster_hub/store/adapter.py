"""The store as the rest of the hub sees it: `run` a script, and `now_ms`."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from muster_hub.concurrency import alongside
from muster_hub.store.clock import StoreClock
from muster_hub.store.errors import StoreCause, StoreError, StoreUnavailable
from muster_hub.store.scripts import Script
from muster_hub.store.shard import CALL_TIMEOUT_S, Shard
from muster_hub.store.urls import Address, parse
from muster_hub.store.wire import Reply, Word

__all__ = ["CALL_TIMEOUT_S", "Reply", "Store", "Word", "all_of"]

T = TypeVar("T")

CALL_TIMEOUT_MS = int(CALL_TIMEOUT_S * 1000)


class Store:
    """The store, whatever its shards. Today there is one; `_shard_of` is where a cluster's slots would be looked up."""

    __slots__ = ("_clock", "_shard", "address")

    def __init__(self, address: Address, *, store_replicas: int = 0) -> None:
        self.address = address
        self._clock = StoreClock()
        self._shard = Shard(address, self._clock, store_replicas=store_replicas)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, store_replicas: int = 0) -> AsyncIterator["Store"]:
        """Serve a store for the body's time; StoreRefused for a bad URL. Does not wait for the store to be there.

        With `store_replicas` a call whose writes must survive a failover is answered once so many replicas have them.
        """
        store = cls(parse(url), store_replicas=store_replicas)
        async with alongside(store._shard.serve()):
            yield store

    @property
    def connected(self) -> bool:
        """Whether the store answered last time it was used."""
        return self._shard.connected

    def describe(self) -> str:
        """Return the store's URL without its password."""
        return self.address.describe()

    async def run(self, script: Script, keys: Sequence[bytes], args: Sequence[Word] = ()) -> Reply:
        """Run a script on keys of one slot, and return its reply.

        Calls to one bucket are carried out in the order in which `run` was called. There is an answer within
        CALL_TIMEOUT_S: the reply, StoreReplyError when the script refused, or StoreUnavailable when there is none.
        A call is never repeated here. ValueError when no key is named.
        """
        return await self.begin(script, keys, args)

    def begin(self, script: Script, keys: Sequence[bytes], args: Sequence[Word] = ()) -> asyncio.Future[Reply]:
        """Start what `run` waits for: the call takes its place in the order now, and the future gets its reply.

        Whoever does not wait for the future has to take its exception. StoreUnavailable at once when it cannot start.
        """
        if not keys:
            raise ValueError("a script touches the slot of its first key")
        return self._shard_of(keys[0]).submit(script, keys, args)

    async def now_ms(self) -> int:
        """Return the store's clock in Unix milliseconds, as estimated here; never ahead of the store's own.

        StoreUnavailable when the store was never reached.
        """
        if not self._clock.known.is_set():
            await self._first_contact()
        return self._clock.now_ms()

    async def not_after_ms(self) -> int:
        """Return the `not_after` of a call made now: the moment when its caller stops waiting."""
        return await self.now_ms() + CALL_TIMEOUT_MS

    async def _first_contact(self) -> None:
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await self._clock.known.wait()
        except TimeoutError:
            raise StoreUnavailable(StoreCause.AWAY, outcome_unknown=False) from None

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
