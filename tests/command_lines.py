"""The command line of one device, as the tests use it: in this process, or as a process of its own."""

import io
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
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
class CommandLine(ABC):
    """``muster`` for the device in one folder."""

    folder: Path

    @abstractmethod
    def run(self, *arguments: str) -> CommandResult:
        """Run a command through pipes."""

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

    def trust(self, nickname: str, other: "CommandLine") -> None:
        """Trust another device, as ``muster trust add`` does, but without a command."""
        with Device.open(other.folder) as device:
            client, fingerprint = device.client, device.fingerprint
        with Device.open(self.folder) as device:
            device.peers.trust(client, fingerprint, nickname)


def call(folder: Path, *arguments: str) -> CommandResult:
    """Run a command of the device in one folder, in this process, through pipes."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "stdin", io.StringIO())
        patch.setenv("MUSTER_DATA_DIR", str(folder))
        patch.setenv("COLUMNS", "80")
        code = main(arguments)
    return CommandResult(code, out.getvalue(), err.getvalue())


NewCli = Callable[[str], CommandLine]
"""Makes the command line of a folder by its name; no device is in the folder yet."""


@pytest.fixture
def cli(new_cli: NewCli) -> CommandLine:
    """Return the command line of a machine that is not set up as a device."""
    return new_cli("laptop")


@pytest.fixture
def new_device(new_cli: NewCli) -> NewCli:
    """Return a function that makes a device whose hub cannot be reached."""

    def make(name: str) -> CommandLine:
        made = new_cli(name)
        Device.create(made.folder, hub_url=NO_HUB).close()
        return made

    return make


@pytest.fixture
def laptop(new_device: NewCli) -> CommandLine:
    """Return a device."""
    return new_device("laptop")


@pytest.fixture
def nas(new_device: NewCli) -> CommandLine:
    """Return another device."""
    return new_device("nas")
