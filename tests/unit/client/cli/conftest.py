"""The command line in this process, through pipes: options, help, files and documents. No hub answers."""

import io
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.command_lines import CommandLine, CommandResult, NewCli, cli, laptop, nas, new_device
from typing_extensions import override

from muster_client.cli.main import main

__all__ = ["cli", "laptop", "nas", "new_device"]


@dataclass(frozen=True, slots=True)
class InProcessCli(CommandLine):
    """``muster`` for the device in one folder, called as a function."""

    @override
    def run(self, *arguments: str) -> CommandResult:
        """Run a command."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "stdin", io.StringIO())
            patch.setenv("MUSTER_DATA_DIR", str(self.folder))
            patch.setenv("COLUMNS", "80")
            code = main(arguments)
        return CommandResult(code, out.getvalue(), err.getvalue())


@pytest.fixture
def new_cli() -> Iterator[NewCli]:
    """Return a function that makes a command line for a folder without a device."""
    # Not pytest's own folder: its long path would not fit the address of a Unix socket.
    with tempfile.TemporaryDirectory(prefix="mcli-") as root:
        yield lambda name: InProcessCli(Path(root) / name)
