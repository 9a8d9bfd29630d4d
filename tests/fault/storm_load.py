"""The load of a reconnect storm, as a process of its own: many devices that come at once and come again when told to.

``python -m tests.fault.storm_load URL DEVICES SECONDS`` says ``ready`` once all identities are made, waits for a line,
storms, and says in one JSON line what came of it. It holds its connections until standard input ends.
"""

import asyncio
import json
import random
import resource
import statistics
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack

from tests.integration.hub.device import DeviceLink, RefusedByHubError, SigningDevice
from websockets.exceptions import InvalidStatus, WebSocketException

from muster_protocol.connect import Role

SOURCES = [f"127.0.0.{number}" for number in range(2, 34)]
"""One address for all devices would be turned away as one stranger who wants too much."""
MAX_DIALLING = 1_600
"""Devices on their way in at once, from this process."""
BACK_OFF_S = 1.0
TRIES = 60

_DICE = random.SystemRandom()


class Storm:
    """The devices, and what happened to them."""

    def __init__(self, url: str, devices: int, seconds: float) -> None:
        self._url = url
        self._devices = [SigningDevice() for _ in range(devices)]
        for device in self._devices:
            device.card()
        self._seconds = seconds
        self._dialling = asyncio.Semaphore(MAX_DIALLING)
        self.outcomes: Counter[str] = Counter()
        self.took_ms: list[float] = []

    async def run(self, stack: AsyncExitStack) -> None:
        async with asyncio.TaskGroup() as group:
            for device in self._devices:
                group.create_task(self._come(device, _DICE.uniform(0, self._seconds), stack))

    async def _come(self, device: SigningDevice, at_s: float, stack: AsyncExitStack) -> None:
        await asyncio.sleep(at_s)
        began_s = time.monotonic()
        for failures in range(TRIES):
            async with self._dialling:
                wait_s = await self._try(device, failures, stack)
            if wait_s is None:
                self.took_ms.append((time.monotonic() - began_s) * 1000)
                return
            await asyncio.sleep(wait_s)
        self.outcomes["gave_up"] += 1

    async def _try(self, device: SigningDevice, failures: int, stack: AsyncExitStack) -> float | None:
        """Connect; return how long to wait before the next try, None if it worked."""
        jitter_s = _DICE.uniform(0, min(8.0, BACK_OFF_S * 2**failures))
        try:
            link: DeviceLink = await stack.enter_async_context(
                device.connect(self._url, role=Role.AGENT, source=_DICE.choice(SOURCES))
            )
        except RefusedByHubError as refused:
            self.outcomes[refused.refused.reason] += 1
            return (refused.refused.retry_after_ms or 0) / 1000 + jitter_s
        except InvalidStatus as status:
            self.outcomes[f"http_{status.response.status_code}"] += 1
            return jitter_s
        except (OSError, TimeoutError, WebSocketException) as error:
            self.outcomes[type(error).__name__] += 1
            return jitter_s
        self.outcomes["entered"] += 1
        device.token = link.welcome.token
        return None


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main() -> None:
    url, devices, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    storm = Storm(url, devices, seconds)
    _say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    async with AsyncExitStack() as stack:
        began_s, cpu_s = time.monotonic(), time.process_time()
        await storm.run(stack)
        quantiles = statistics.quantiles(storm.took_ms, n=100)
        told = {
            "outcomes": storm.outcomes,
            "seconds": round(time.monotonic() - began_s, 2),
            "cpu_s": round(time.process_time() - cpu_s, 2),
            "p50_ms": round(quantiles[49]),
            "p99_ms": round(quantiles[98]),
        }
        _say(json.dumps(told))
        await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
