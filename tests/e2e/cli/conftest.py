"""The command line as its users meet it: with agents and a hub that are processes, through pipes or on a terminal."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pexpect
import pytest
from pexpect.popen_spawn import PopenSpawn
from tests.command_lines import CommandLine, CommandResult, NewCli, call, cli, laptop, nas, new_device
from typing_extensions import override

from muster_client.device.device import Device
from muster_protocol.cards import Mode

__all__ = ["cli", "laptop", "nas", "new_device"]

PROGRAM = [sys.executable, "-m", "muster_client.cli"]
PATIENCE_S = 60
"""When a process that says nothing is taken for hung. No test passes or fails by less."""


@dataclass(frozen=True, slots=True)
class Cli(CommandLine):
    """``muster`` for the device in one folder; ``environment`` comes on top of this process's own."""

    environment: dict[str, str] = field(default_factory=dict)
    agents: "list[Background]" = field(default_factory=list)

    @property
    def whole_environment(self) -> dict[str, str]:
        """The environment of a process."""
        return {**os.environ, "MUSTER_DATA_DIR": str(self.folder), **self.environment}

    @override
    def run(self, *arguments: str) -> CommandResult:
        """Run a command through pipes: as a process only if it is to be told something by its environment."""
        return self.process(*arguments) if self.environment else call(self.folder, *arguments)

    def process(self, *arguments: str, **environment: str) -> CommandResult:
        """Run a command as a process, through pipes."""
        done = subprocess.run(
            [*PROGRAM, *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL,
            env={**self.whole_environment, **environment},
        )
        return CommandResult(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> "Background":
        """Start a command and leave it running."""
        return Background([*PROGRAM, *arguments], self.whole_environment)

    def terminal(self, *arguments: str, **environment: str) -> "pexpect.spawn[str]":
        """Run a command on a terminal."""
        return pexpect.spawn(
            PROGRAM[0],
            [*PROGRAM[1:], *arguments],
            env={**self.whole_environment, "TERM": "xterm-256color", **environment},
            encoding="utf-8",
            timeout=PATIENCE_S,
            dimensions=(50, 120),
        )

    def grant(self, nickname: str) -> None:
        """Grant a trusted device every automatic join, as ``muster grant add`` does, but without a process."""
        with Device.open(self.folder) as device:
            device.peers.grant(device.peers.resolve(nickname).client, mode=Mode.SYNCHRONIZE)


@pytest.fixture
def new_cli() -> Iterator[NewCli]:
    """Make folders for devices; no device is in them yet."""
    # Not pytest's own folder: its long path would not fit the address of a Unix socket.
    with tempfile.TemporaryDirectory(prefix="mcli-") as root:

        def make(name: str) -> Cli:
            return Cli(Path(root) / name)

        yield make


# -- with a hub and agents ---------------------------------------------------------------------------------------------


class Background:
    """A process that stays, read as it speaks."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.last_words = ""
        self._process = PopenSpawn(command, env=environment, timeout=PATIENCE_S, encoding="utf-8")

    def hear(self, text: str) -> str:
        """Wait until it writes this, and return the rest of that line."""
        self._process.expect_exact(text)
        return str(self._process.readline())

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it, and return its exit code."""
        self._process.kill(number)
        code = self._process.wait()
        self.last_words = self._process.read()
        for stream in (self._process.proc.stdin, self._process.proc.stdout):
            if stream is not None:
                stream.close()
        return int(code)


@pytest.fixture(scope="module")
def hub_url() -> Iterator[str]:
    """Run a hub of its own for the tests of one file."""
    with tempfile.TemporaryDirectory(prefix="mhub-") as folder:
        command = [sys.executable, "-m", "muster_hub", "--listen", "127.0.0.1:0", "--data-dir", folder, "--json"]
        hub = Background(command, dict(os.environ))
        url = hub.hear('{"url":"').partition('"')[0]
        yield url
        hub.end()


def _ends_well(name: str, agent: Background) -> None:
    assert agent.end() == 0, f"the agent of {name} ended before it was told to: {agent.last_words}"


@pytest.fixture(scope="module")
def house(hub_url: str) -> Iterator[dict[str, Cli]]:
    """Return a laptop that trusts four devices, each in another state; the agents of all but two run.

    ``nas`` grants and is granted; ``phone`` is trusted, and its person is asked; ``attic`` grants, and is switched off;
    ``guest`` is trusted by the laptop, and does not trust it. ``idle`` is a device without an agent.
    """
    with tempfile.TemporaryDirectory(prefix="mcli-") as root, ExitStack() as stack:
        made: dict[str, Cli] = {}
        for name in ("laptop", "nas", "phone", "attic", "guest", "idle"):
            folder = Path(root) / name
            Device.create(folder, hub_url=hub_url).close()
            made[name] = Cli(folder)
        laptop = made["laptop"]
        for name in ("nas", "phone", "attic", "guest"):
            laptop.trust(name, made[name])
            if name != "guest":
                made[name].trust("laptop", laptop)
            laptop.grant(name)
        for name in ("nas", "attic"):
            made[name].grant("laptop")
        made["idle"].trust("nas", made["nas"])
        # What the attic says must be known to the hub before it is switched off.
        made["attic"].run("who")
        for name in ("nas", "phone", "guest", "laptop"):
            agent = made[name].start("agent", "--json")
            stack.callback(_ends_well, name, agent)
            agent.hear('"event": "connected"')
            made[name].agents.append(agent)
        yield made
