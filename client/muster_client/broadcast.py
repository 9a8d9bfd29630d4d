"""One source of events and any number of readers, each with a queue of its own and a limit on it."""

import asyncio
from collections import deque
from typing import Generic, Self, TypeVar
from weakref import WeakSet

from muster_client.events import Missed

MAX_UNREAD_EVENTS = 1024
"""Events that wait for one slow reader; then the oldest are dropped and counted."""

T = TypeVar("T")


class Stream(Generic[T]):
    """One reader's events, from the moment it was made. An async iterator that ends with its source."""

    def __init__(self) -> None:
        self._waiting: deque[T] = deque()
        self._changed = asyncio.Event()
        self._missed = 0
        self._ended = False

    def put(self, event: T) -> None:
        """Hand an event to the reader."""
        if len(self._waiting) >= MAX_UNREAD_EVENTS:
            self._waiting.popleft()
            self._missed += 1
        self._waiting.append(event)
        self._changed.set()

    def end(self) -> None:
        """Let the reader finish what waits, and then stop."""
        self._ended = True
        self._changed.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T | Missed:
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        if self._missed:
            count, self._missed = self._missed, 0
            return Missed(count=count)
        return self._waiting.popleft()


class Broadcast(Generic[T]):
    """Gives every event to all who read at that moment. A reader that nobody holds any more is forgotten."""

    def __init__(self) -> None:
        self._readers: WeakSet[Stream[T]] = WeakSet()
        self._ended = False

    def tell(self, event: T) -> None:
        """Give an event to every reader."""
        for reader in self._readers:
            reader.put(event)

    def listen(self) -> Stream[T]:
        """Add a reader; after the end it is at its end at once."""
        reader: Stream[T] = Stream()
        if self._ended:
            reader.end()
        else:
            self._readers.add(reader)
        return reader

    def end(self) -> None:
        """Tell all readers that nothing more comes."""
        self._ended = True
        for reader in self._readers:
            reader.end()
