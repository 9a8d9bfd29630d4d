"""Schedules by number: each seed makes one, and a failure says which one and what happened in it.

`SCHEDULES=n` runs n of them in all, `SEED=s` only that one of each kind.
"""

import os
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from tests.schedules.world import World

SCHEDULES = int(os.environ.get("SCHEDULES", "10000"))
SEED = os.environ.get("SEED")

SCENES_LAST = 4_000
"""Schedules after which a scene is made anew, since sessions and invites do not last for ever."""


def batches(share: float) -> Iterator[range]:
    """Give the seeds of a kind of schedule with this share in all of them, in batches that one scene is good for."""
    if SEED is not None:
        yield range(int(SEED), int(SEED) + 1)
        return
    count = max(1, round(SCHEDULES * share))
    for start in range(0, count, SCENES_LAST):
        yield range(start, min(start + SCENES_LAST, count))


W = TypeVar("W", bound=World)


async def run(world: W, scenario: Callable[[W], Awaitable[None]]) -> None:
    """Run one schedule; what fails in it is raised with its seed and its trace."""
    try:
        await scenario(world)
    except Exception as error:
        raise AssertionError(f"SEED={world.seed}: {error}\n{world.story()}") from error
