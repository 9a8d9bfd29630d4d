"""The command line in this process, through pipes: options, help, files and documents. No hub answers."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.command_lines import CommandLine, CommandResult, NewCli, call, cli, laptop, nas, new_device
from typing_extensions import override

__all__ = ["cli", "laptop", "nas", "new_device"]


@dataclass(frozen=True, slots=True)
class InProcessCli(CommandLine):
    """``muster`` for the device in one folder, called as a function."""

    @override
    def run(self, *arguments: str) -> CommandResult:
        """Run a command."""
        return call(self.folder, *arguments)


@pytest.fixture
def new_cli() -> Iterator[NewCli]:
    """Return a function that makes a command line for a folder without a device."""
    # Not pytest's own folder: its long path would not fit the address of a Unix socket.
    with tempfile.TemporaryDirectory(prefix="mcli-") as root:
        yield lambda name: InProcessCli(Path(root) / name)
