"""The floors: what cannot be left out, measured alone in the same run."""

import asyncio
import os
import time
from collections.abc import Callable

from tests.bench.ends import closing, dial
from tests.bench.figures import MICRO, Figure
from tests.bench.servers import BenchServer

from muster_hub.store import keys
from muster_hub.store.adapter import Store
from muster_hub.store.scripts import script
from muster_protocol.ids import ClientId
from muster_protocol.keys import SigningKey
from muster_protocol.sealing import EpochKey, ReceiveKey, seal

RELAY_PAIRS = 64
ROUND_TRIPS_EACH = 40
MESSAGE_BYTES = 200
CRYPTO_TIMES = 300
CALLS = 2_048
TOGETHER = (64, 8, 1)

_FENCE = script("fence")


async def measure_relay(relay: BenchServer, repeats: int) -> Figure:
    """Measure a round trip over the bare relay: there, and back."""
    payload = os.urandom(MESSAGE_BYTES)
    ends = [await dial(relay.url) for _ in range(2 * RELAY_PAIRS)]

    async def trips(one: int) -> None:
        for _ in range(ROUND_TRIPS_EACH):
            ends[one].send(payload)
            ends[one + 1].send(await ends[one + 1].message())
            await ends[one].message()

    values, shares = [], []
    async with closing(ends):
        for _ in range(repeats):
            before = relay.moment()
            await asyncio.gather(*(trips(one) for one in range(0, len(ends), 2)))
            used = before.until_now()
            values.append(used.hub_s / (RELAY_PAIRS * ROUND_TRIPS_EACH) * MICRO)
            shares.append(used.load_share)
    return Figure(name="bare relay, round trip", unit="µs", values=values, load_share=max(shares))


def measure_crypto(repeats: int) -> list[Figure]:
    """Measure signing, verifying, sealing and opening, as the protocol's own functions do them."""
    key, message, info = SigningKey.from_secret(os.urandom(32)), os.urandom(MESSAGE_BYTES), b"bench"
    signature = key.sign(message)
    receiver, epoch_key = ReceiveKey.from_seed(os.urandom(96)), EpochKey(os.urandom(32))
    sealed = seal(epoch_key, receiver.public, info)
    return [
        _timed("sign", repeats, lambda: key.sign(message)),
        _timed("verify", repeats, lambda: key.public.verify(signature, message)),
        _timed("seal", repeats, lambda: seal(epoch_key, receiver.public, info)),
        _timed("open", repeats, lambda: receiver.open(sealed, info)),
    ]


def _timed(name: str, repeats: int, work: Callable[[], object]) -> Figure:
    values = []
    for _ in range(repeats):
        before = time.process_time()
        for _ in range(CRYPTO_TIMES):
            work()
        values.append((time.process_time() - before) / CRYPTO_TIMES * MICRO)
    return Figure(name=name, unit="µs", values=values)


async def measure_store_calls(url: str, repeats: int) -> list[Figure]:
    """Measure the smallest call to the store through the hub's adapter, alone and with others."""
    touched = [keys.instances(ClientId("a" * 32))]

    async def calls(store: Store, count: int) -> None:
        for _ in range(count):
            await store.run(_FENCE, touched, [1])

    figures = []
    async with Store.open(url) as store:
        await calls(store, 1)
        for together in TOGETHER:
            values = []
            for _ in range(repeats):
                before = time.process_time()
                await asyncio.gather(*(calls(store, CALLS // 64) for _ in range(together)))
                values.append((time.process_time() - before) / (CALLS // 64 * together) * MICRO)
            figures.append(Figure(name=f"store call, {together} together", unit="µs", values=values))
    return figures
