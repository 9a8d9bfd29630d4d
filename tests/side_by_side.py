"""How `pytest --dist loadfile` shares the tests among processes: by file, except for long tests that come in parts."""

from typing import Any

import pytest
from typing_extensions import override
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped] # it brings no types

PART = "[part-"
"""What the id of one part of a test contains."""


class FilesAndParts(LoadFileScheduling):  # type: ignore[misc] # the same
    """The tests of a file stay together in one process. Each part of a test may run in another one."""

    @override
    def _split_scope(self, nodeid: str) -> str:
        return nodeid if PART in nodeid else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesAndParts | None:
    """Take the place of `loadfile` only."""
    return FilesAndParts(config, log) if config.getoption("dist") == "loadfile" else None
