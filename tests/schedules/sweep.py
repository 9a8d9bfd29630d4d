"""Schedules by number: each seed makes one, and a failure says which one and what happened in it.

``SCHEDULES=n`` runs n of them in all, ``SEED=s`` only that one of each kind. Each kind is a test in parts, so that
several processes can share its seeds.
"""

import os
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest
from tests.schedules.world import ScheduledWorld

SCHEDULES = int(os.environ.get("SCHEDULES", "10000"))
SEED = os.environ.get("SEED")

SCENES_LAST = 4_000
"""Schedules after which a scene is made again, since sessions and invites expire."""

SHOWS_ALL = 50
"""Schedules of one part among which each way to end must occur; whether it does among fewer is chance."""

PARTS = 4 if SEED is None else 1

in_parts = pytest.mark.parametrize("part", [pytest.param(part, id=f"part-{part}") for part in range(PARTS)])


def batches(share: float, part: int) -> Iterator[range]:
    """Yield the seeds of one part of a kind of schedule, in batches that one scene lasts for.

    ``share`` is the kind's share in all schedules. With ``SEED`` set that seed is all there is.
    """
    if SEED is not None:
        yield range(int(SEED), int(SEED) + 1)
        return
    count = max(PARTS, round(SCHEDULES * share))
    begin, end = count * part // PARTS, count * (part + 1) // PARTS
    for start in range(begin, end, SCENES_LAST):
        yield range(start, min(start + SCENES_LAST, end))


def shows_all(share: float) -> bool:
    """Whether each part of a kind is so long that each way to end must occur in it."""
    return SEED is None and round(SCHEDULES * share) // PARTS >= SHOWS_ALL


W = TypeVar("W", bound=ScheduledWorld)


async def run(world: W, scenario: Callable[[W], Awaitable[None]]) -> None:
    """Run one schedule; what fails in it is raised with its seed and its trace."""
    try:
        await scenario(world)
    except Exception as error:
        raise AssertionError(f"SEED={world.seed}: {error}\n{world.story()}") from error
