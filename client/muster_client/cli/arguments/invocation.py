"""The options before the command, and the device that they name."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from muster_client import ControlClient, Device
from muster_client.cli.output.failures import Failure, Word
from muster_client.paths import default_path
from muster_client.visible import visible

Json = Annotated[bool, typer.Option("--json", help="Write one JSON document (fields: client/README.md).")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer yes to every question.")]


@dataclass(slots=True)
class Invocation:
    """One run of ``muster``. ``data_dir`` None means the default folder."""

    data_dir: Path | None = None

    @property
    def device_path(self) -> Path:
        """The folder of the device's data."""
        return self.data_dir or default_path()

    @contextmanager
    def device(self) -> Iterator[Device]:
        """Open the device's data; raises ``NoDevice`` if there are none."""
        with Device.open(self.device_path) as device:
            yield device

    def agent(self) -> ControlClient:
        """Return the client of this device's agent; its methods raise ``NoAgent`` if no agent runs."""
        return ControlClient(self.device_path)


def invocation(context: typer.Context) -> Invocation:
    """Return the options before the command."""
    return context.ensure_object(Invocation)


def can_ask() -> bool:
    """Return whether a person can be asked on a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> str:
    """Ask on the terminal, and return the answer in lower case; empty at its end."""
    sys.stderr.write(f"{visible(question)} ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower()


def confirm(question: str, *, otherwise: str) -> None:
    """Ask a yes-or-no question whose default is no.

    Raises ``Failure``: ``not_confirmed`` if the answer is not yes, ``no_terminal`` if there is no terminal;
    ``otherwise`` is then the next step, for a script.
    """
    if not can_ask():
        raise Failure(Word.NO_TERMINAL, f"This question needs a terminal: {question}", otherwise)
    if ask(f"{question} [y/N]") not in {"y", "yes"}:
        raise Failure(Word.NOT_CONFIRMED, "Cancelled. Nothing was changed.", "Run it again and answer y.")
