"""The command line in this process, through pipes: options, help, files and documents. No hub answers."""

import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from muster_client.cli.arguments.id_text import id_text
from muster_client.cli.main import main
from muster_client.device.device import Device

NO_HUB = "ws://127.0.0.1:1"
"""A hub's URL where nothing listens."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document that it wrote."""
        (line,) = self.out.splitlines()
        return json.loads(line)


@dataclass(frozen=True, slots=True)
class InProcessCli:
    """``muster`` for the device in one folder, called as a function."""

    folder: Path

    def run(self, *arguments: str) -> CommandResult:
        """Run a command."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "stdin", io.StringIO())
            patch.setenv("MUSTER_DATA_DIR", str(self.folder))
            patch.setenv("COLUMNS", "80")
            code = main(arguments)
        return CommandResult(code, out.getvalue(), err.getvalue())

    def ok(self, *arguments: str) -> CommandResult:
        """Run a command that must succeed."""
        done = self.run(*arguments)
        assert done.code == 0, done
        return done

    def fails(self, code: int, *arguments: str) -> CommandResult:
        """Run a command that must fail, and must report it in the one form."""
        done = self.run(*arguments)
        assert done.code == code, done
        assert [line[:6] for line in done.err.splitlines()] == ["error:", "next: "], done
        return done

    @property
    def id_text(self) -> str:
        """The id text of this device."""
        with Device.open(self.folder) as device:
            return id_text(device.client, device.fingerprint)

    def trust(self, nickname: str, other: "InProcessCli") -> None:
        """Trust another device."""
        with Device.open(other.folder) as device:
            client, fingerprint = device.client, device.fingerprint
        with Device.open(self.folder) as device:
            device.peers.trust(client, fingerprint, nickname)


NewCli = Callable[[str], InProcessCli]


@pytest.fixture
def new_cli() -> Iterator[NewCli]:
    """Return a function that makes a command line for a folder without a device."""
    # Not pytest's own folder: its long path would not fit the address of a Unix socket.
    with tempfile.TemporaryDirectory(prefix="mcli-") as root:
        yield lambda name: InProcessCli(Path(root) / name)


@pytest.fixture
def cli(new_cli: NewCli) -> InProcessCli:
    """Return the command line of a machine that is not set up as a device."""
    return new_cli("laptop")


@pytest.fixture
def new_device(new_cli: NewCli) -> NewCli:
    """Return a function that makes a device whose hub cannot be reached."""

    def make(name: str) -> InProcessCli:
        made = new_cli(name)
        Device.create(made.folder, hub_url=NO_HUB).close()
        return made

    return make


@pytest.fixture
def laptop(new_device: NewCli) -> InProcessCli:
    """Return a device."""
    return new_device("laptop")


@pytest.fixture
def nas(new_device: NewCli) -> InProcessCli:
    """Return another device."""
    return new_device("nas")
