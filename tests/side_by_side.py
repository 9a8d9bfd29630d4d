"""How ``pytest --dist loadfile`` shares the tests among processes: by file, except for long tests that come in parts.

What waits longest comes first, and what never waits last, so that no process of the tests stands still at the end.
"""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped] # it brings no types

PART = "[part-"
"""What the id of one part of a test contains."""

TESTS = Path(__file__).parent
FIRST = ("fault", "rubbish", "e2e")
"""Folders whose tests wait for clocks and processes."""
LAST = ("property", "schedules")
"""Folders whose tests only compute, in files and parts that are short beside the whole."""


class FilesAndParts(LoadFileScheduling):  # type: ignore[misc] # the same
    """The tests of a file stay together in one process. Each part of a test may run in another one."""

    @override
    def _split_scope(self, nodeid: str) -> str:
        return nodeid if PART in nodeid else super()._split_scope(nodeid)


@cache
def _rank(path: Path) -> int:
    folder = path.relative_to(TESTS).parts[0] if path.is_relative_to(TESTS) else ""
    if folder in FIRST:
        return FIRST.index(folder)
    return len(FIRST) + (1 + LAST.index(folder) if folder in LAST else 0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the folders; within one nothing moves."""
    items.sort(key=lambda item: _rank(item.path))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesAndParts | None:
    """Take the place of ``loadfile`` only."""
    return FilesAndParts(config, log) if config.getoption("dist") == "loadfile" else None
