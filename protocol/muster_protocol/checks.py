"""Checks in steps, so that their caller can decide before each signature whether it is worth its time.

A signature check costs a hundred times what any other check here costs. A generator of ``Checks`` yields each step
before it makes it, and returns what was checked.
"""

from collections import OrderedDict
from collections.abc import Generator
from typing import Generic, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")


class SignatureStep(NamedTuple):
    """The signatures that are checked next; and at the first step of several that belong together, those of all."""

    signatures: int
    charge: int


Checks: TypeAlias = Generator[SignatureStep, None, T]

ENTRY_BYTES = 512
"""What one remembered result takes beside its value: its key, and its places in the table and in the order of use."""


def run(checks: Checks[T]) -> T:
    """Run all steps at once and return what was checked. Raises what the checks raise."""
    try:
        while True:
            next(checks)
    except StopIteration as done:
        found: T = done.value
        return found


class CheckResults(Generic[T]):
    """Results by the hash of what was checked. Above ``max_bytes`` the least recently used ones are forgotten."""

    __slots__ = ("_bytes", "_max_bytes", "_results")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._results: OrderedDict[bytes, tuple[T, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._results)

    def get(self, key: bytes) -> T | None:
        """Return the result of that hash, or None where it is not remembered."""
        found = self._results.get(key)
        if found is None:
            return None
        self._results.move_to_end(key)
        return found[0]

    def put(self, key: bytes, result: T, size: int = 0) -> None:
        """Remember a result whose value takes ``size`` bytes."""
        _, before = self._results.pop(key, (None, 0))
        self._results[key] = (result, size + ENTRY_BYTES)
        self._bytes += size + ENTRY_BYTES - before
        while self._bytes > self._max_bytes:
            _, (_, freed) = self._results.popitem(last=False)
            self._bytes -= freed
