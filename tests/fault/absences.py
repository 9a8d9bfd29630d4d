"""The ways in which a store is unavailable for a while."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from tests.fault.server import StoreServer

from muster_hub.store.wire import ErrorReply

LOADING_WRITES = 60_000
FILL = b"for i = 1, ARGV[1] do redis.call('SET', KEYS[1], i) end"

Away = Callable[[StoreServer], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def dead(store: StoreServer) -> AsyncIterator[None]:
    await store.kill()
    try:
        yield
    finally:
        await store.start()


@asynccontextmanager
async def frozen(store: StoreServer) -> AsyncIterator[None]:
    with store.frozen():
        yield


@asynccontextmanager
async def loading(store: StoreServer) -> AsyncIterator[None]:
    """Killed, and started again on so much data that reading it takes longer than the test does."""
    await store.say(b"EVAL", FILL, b"1", b"{b:00}:filler", b"%d" % LOADING_WRITES)
    await store.kill()
    await store.start(loaded=False, key_load_delay="200")  # microseconds for each write
    reply = await store.say(b"PING")
    assert isinstance(reply, ErrorReply)
    assert reply.code == "LOADING"
    try:
        yield
        assert isinstance(await store.say(b"PING"), ErrorReply), "it was loading all the while"
    finally:
        await store.kill()
        await store.start()


@asynccontextmanager
async def switched(store: StoreServer, on: Sequence[bytes], off: Sequence[bytes]) -> AsyncIterator[None]:
    """Send the store one command now, and after the body the one that takes it back."""
    await store.say(*on)
    try:
        yield
    finally:
        await store.say(*off)


def read_only(store: StoreServer) -> AbstractAsyncContextManager[None]:
    """A replica by now, and its primary is elsewhere."""
    return switched(store, (b"REPLICAOF", b"127.0.0.1", b"1"), (b"REPLICAOF", b"NO", b"ONE"))


def full(store: StoreServer) -> AbstractAsyncContextManager[None]:
    """Its memory is full."""
    limit = (b"CONFIG", b"SET", b"maxmemory")
    return switched(store, (*limit, b"1"), (*limit, b"0"))
