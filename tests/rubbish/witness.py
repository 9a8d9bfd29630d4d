"""A device of good standing that never stops asking: ``python -m tests.rubbish.witness URL``.

It says ``ready`` once it is connected. For each line that it reads it says in JSON what happened since the line before:
how many times it asked, how often the answer was wrong, and how long answers took. It ends with its input.
"""

import asyncio
import json
import statistics
import sys
import time

from tests.integration.hub.device import DeviceLink, SigningDevice

from muster_protocol.frames import PresenceReply, PresenceState, Who

PAUSE_S = 0.03
"""Between two questions: under the rate that the hub allows a device."""


class Witness:
    """Asks, and keeps what it saw since it was last heard."""

    def __init__(self) -> None:
        self._took_ms: list[float] = []
        self._wrong = 0
        self._asked = asyncio.Event()

    async def ask_for_ever(self, link: DeviceLink, friend: SigningDevice) -> None:
        while True:
            began = time.perf_counter()
            reply = await link.ask_any(Who(id=0, clients=(friend.client,)))
            self._took_ms.append((time.perf_counter() - began) * 1000)
            seen = isinstance(reply, PresenceReply) and [one.state for one in reply.devices] == [PresenceState.ONLINE]
            self._wrong += not seen
            self._asked.set()
            await asyncio.sleep(PAUSE_S)

    async def report(self) -> dict[str, float]:
        """Wait for one more answer, and tell what was seen since the last report."""
        self._asked.clear()
        await self._asked.wait()
        took, self._took_ms = sorted(self._took_ms), []
        wrong, self._wrong = self._wrong, 0
        return {
            "asked": len(took),
            "wrong": wrong,
            "median_ms": round(statistics.median(took), 2),
            "p99_ms": round(took[int(0.99 * (len(took) - 1))], 2),
            "max_ms": round(took[-1], 2),
        }


async def lines() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def witness(url: str) -> None:
    asking, friend = SigningDevice(), SigningDevice()
    async with asking.connect(url) as link, friend.connect(url) as other:
        await other.put(friend.trust(asking))
        seen = Witness()
        async with asyncio.TaskGroup() as tasks:
            asker = tasks.create_task(seen.ask_for_ever(link, friend))
            say("ready")
            commands = await lines()
            while await commands.readline():
                say(json.dumps(await seen.report()))
            asker.cancel()


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(witness(sys.argv[1]))
