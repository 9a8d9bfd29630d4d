"""Handshakes when many come at once: a few at a time, in their order; the rest are told when to come back."""

import asyncio
from collections.abc import Callable

import pytest

from muster_hub.connections import handshake_queue
from muster_hub.connections.handshake_queue import (
    COME_BACK_FROM_MS,
    COME_BACK_UNTIL_MS,
    SIGNATURES_PER_TURN,
    WAITING_PER_PLACE,
    HandshakeQueue,
    HandshakeRefused,
)
from muster_protocol.closes import CloseCode
from muster_protocol.reasons import Reason

PATIENCE_S = 20.0


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)


class Crowd:
    """Devices that ask to be admitted, and stay in their place until they may leave."""

    def __init__(self, places: int) -> None:
        self.queue = HandshakeQueue(places)
        self.inside: list[int] = []
        self.served: list[int] = []
        self.turned_away: list[HandshakeRefused] = []
        self._door = asyncio.Event()
        self.moved = asyncio.Event()

    async def come(self, number: int) -> None:
        try:
            async with self.queue.place():
                await self.queue.turn(1)
                self.inside.append(number)
                self.served.append(number)
                await self._door.wait()
                self.inside.remove(number)
        except HandshakeRefused as away:
            self.turned_away.append(away)

    def let_go(self) -> None:
        self._door.set()


async def test_so_many_are_inside_and_so_many_wait_and_the_rest_is_told_to_come_back() -> None:
    crowd = Crowd(2)
    async with asyncio.TaskGroup() as group:
        for number in range(2 + 2 * WAITING_PER_PLACE + 5):
            group.create_task(crowd.come(number))
        await until(lambda: len(crowd.turned_away) == 5 and crowd.inside == [0, 1])
        assert crowd.queue.waiting == 2 * WAITING_PER_PLACE
        crowd.let_go()
    assert crowd.served == list(range(2 + 2 * WAITING_PER_PLACE))
    assert {away.code for away in crowd.turned_away} == {CloseCode.OVERLOADED}
    assert {away.reason for away in crowd.turned_away} == {Reason.OVERLOADED}
    times_ms = [away.retry_after_ms or 0 for away in crowd.turned_away]
    assert all(COME_BACK_FROM_MS <= time_ms <= COME_BACK_UNTIL_MS for time_ms in times_ms)
    assert len(set(times_ms)) > 1


async def test_a_handshake_that_waits_too_long_for_a_place_is_told_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handshake_queue, "WAIT_LIMIT_S", 0.0)
    crowd = Crowd(1)
    async with asyncio.TaskGroup() as group:
        group.create_task(crowd.come(0))
        group.create_task(crowd.come(1))
        await until(lambda: len(crowd.turned_away) == 1)
        crowd.let_go()
    assert crowd.served == [0]
    assert crowd.queue.waiting == 0


async def test_a_handshake_that_leaves_the_queue_frees_its_place() -> None:
    crowd = Crowd(1)
    async with asyncio.TaskGroup() as group:
        group.create_task(crowd.come(0))
        leaving = group.create_task(crowd.come(1))
        group.create_task(crowd.come(2))
        await until(lambda: crowd.queue.waiting == 2)
        leaving.cancel()
        await until(lambda: crowd.queue.waiting == 1)
        crowd.let_go()
    assert crowd.served == [0, 2]


@pytest.mark.parametrize("signatures", [1, 2])
async def test_others_are_served_between_signatures(signatures: int) -> None:
    queue, said = HandshakeQueue(8), []
    per_turn = SIGNATURES_PER_TURN // signatures

    async def check(number: int) -> None:
        async with queue.place():
            await queue.turn(signatures)
            said.append(f"check {number}")

    async def work() -> None:
        while sum(line != "work" for line in said) < len(numbers):
            said.append("work")
            await asyncio.sleep(0)

    numbers = range(3 * per_turn)
    async with asyncio.TaskGroup() as group:
        for number in numbers:
            group.create_task(check(number))
        leaving = group.create_task(check(-1))
        group.create_task(work())
        await asyncio.sleep(0)
        leaving.cancel()
    assert [line for line in said if line != "work"] == [f"check {number}" for number in numbers]
    between = " ".join(said).split("work")
    assert max(part.count("check") for part in between) == per_turn


async def test_a_long_chain_is_checked_between_others() -> None:
    queue, said = HandshakeQueue(8), []

    async def check(name: str, turns: int) -> None:
        async with queue.place():
            for _ in range(turns):
                await queue.turn(SIGNATURES_PER_TURN)
                said.append(name)

    async with asyncio.TaskGroup() as group:
        for name, turns in (("long", 4), ("one", 1), ("two", 1)):
            group.create_task(check(name, turns))
    assert said == ["long", "one", "two", "long", "long", "long"]
