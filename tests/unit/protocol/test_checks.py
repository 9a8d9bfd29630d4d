"""Checks in steps, and results that are remembered within a number of bytes."""

import tracemalloc
from hashlib import sha256

import pytest

from muster_protocol.cards import FINGERPRINT_COST_BYTES
from muster_protocol.checks import ENTRY_BYTES, CheckResults, Checks, SignatureStep, run


def test_all_steps_at_once() -> None:
    def checks() -> Checks[str]:
        yield SignatureStep(1, 1)
        yield SignatureStep(2, 2)
        return "checked"

    assert run(checks()) == "checked"


def test_what_a_step_raises_comes_out() -> None:
    def checks() -> Checks[str]:
        yield SignatureStep(1, 1)
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        run(checks())


def _key(number: int) -> bytes:
    return sha256(b"%d" % number).digest()


def test_the_least_recently_used_is_forgotten_first() -> None:
    table: CheckResults[str] = CheckResults(3 * ENTRY_BYTES)
    for number in range(3):
        table.put(_key(number), str(number))
    assert table.get(_key(0)) == "0"
    table.put(_key(3), "3")
    assert [table.get(_key(number)) for number in range(4)] == ["0", None, "2", "3"]


def test_a_large_result_takes_the_place_of_several() -> None:
    table: CheckResults[str] = CheckResults(4 * ENTRY_BYTES)
    for number in range(4):
        table.put(_key(number), str(number))
    table.put(_key(4), "large", 2 * ENTRY_BYTES)
    assert [table.get(_key(number)) for number in range(5)] == [None, None, None, "3", "large"]


def test_a_result_that_is_put_again_counts_once() -> None:
    table: CheckResults[str] = CheckResults(2 * ENTRY_BYTES)
    table.put(_key(0), "other")
    for _ in range(5):
        table.put(_key(1), "same")
    assert [table.get(_key(0)), table.get(_key(1))] == ["other", "same"]


def test_the_bound_holds_for_the_memory_that_is_really_used() -> None:
    """Filled with the results of the longest chains, and with small ones."""
    limit = 1024 * 1024
    for fingerprints in (33, 0):
        tracemalloc.start()
        table: CheckResults[tuple[bytes, ...]] = CheckResults(limit)
        for number in range(4 * limit // (ENTRY_BYTES + fingerprints * FINGERPRINT_COST_BYTES)):
            found = tuple(sha256(b"%d %d" % (number, place)).digest() for place in range(fingerprints))
            table.put(_key(number), found, fingerprints * FINGERPRINT_COST_BYTES)
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(table) > 100
        assert used <= limit
