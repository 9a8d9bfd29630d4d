"""Which tests count for the coverage that ``make test MEASURE=yes`` prints: those of MEASURED, in their own process.

Measuring takes half as much processor time again. So nothing else is measured: not how pytest collects the tests, not
the other folders, which repeat the same code thousands of times, and not the hubs and commands that tests start.
"""

import importlib
import os
import pkgutil
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path

import pytest
from coverage import Coverage

TESTS = Path(__file__).parent
MEASURED = frozenset({"unit", "vectors", "integration", "e2e"})
PACKAGES = ("muster_protocol", "muster_client", "muster_hub")


def _begin() -> Coverage | None:
    """Start to measure, in a process that runs tests, with the lines that run when a module is imported."""
    if not (os.environ.get("MEASURE") and os.environ.get("PYTEST_XDIST_WORKER")):
        return None
    coverage = Coverage()
    with coverage.collect():
        for name in PACKAGES:
            package = importlib.import_module(name)
            for module in pkgutil.walk_packages(package.__path__, f"{name}."):
                if not module.name.endswith(".__main__"):
                    importlib.import_module(module.name)
    return coverage


MEASURING = _begin()
"""It begins here, before another module of the tests imports the packages."""


@cache
def _is_measured(folder: Path) -> bool:
    return folder.is_relative_to(TESTS) and folder.relative_to(TESTS).parts[0] in MEASURED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure the tests of some folders."""
    measured: AbstractContextManager[None] = nullcontext()
    if MEASURING is not None and _is_measured(item.path.parent):
        measured = MEASURING.collect()
    with measured:
        return (yield)


def pytest_sessionfinish() -> None:
    """Keep what was measured."""
    if MEASURING is not None:
        MEASURING.save()


@pytest.fixture
def unmeasured() -> Iterator[None]:
    """Measure no coverage during a test whose work has a time limit in the code, which measuring would exceed."""
    measuring = Coverage.current()
    if measuring is None:
        yield
        return
    measuring.stop()
    yield
    measuring.start()
