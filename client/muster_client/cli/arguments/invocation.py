"""What the options before the command say, and the device that they name."""

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

Json = Annotated[bool, typer.Option("--json", help="Give one JSON document (fields: client/README.md).")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; the answer is yes.")]


@dataclass(slots=True)
class Invocation:
    """One run of ``muster``. ``data_dir`` None: the device's usual place."""

    data_dir: Path | None = None

    @property
    def device_path(self) -> Path:
        """Where the device's data are."""
        return self.data_dir or default_path()

    @contextmanager
    def device(self) -> Iterator[Device]:
        """Open the device's data; raises ``NoDevice`` where there are none."""
        with Device.open(self.device_path) as device:
            yield device

    def agent(self) -> ControlClient:
        """Give the way to this device's agent; its methods raise ``NoAgent`` where none runs."""
        return ControlClient(self.device_path)


def invocation(context: typer.Context) -> Invocation:
    """Find what the options before the command said."""
    return context.ensure_object(Invocation)


def can_ask() -> bool:
    """Tell whether a question would reach a person."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str, *, otherwise: str) -> None:
    """Ask a yes-or-no question whose default is no.

    Raises ``Failure``: ``not_confirmed`` for a no, ``no_terminal`` where nobody can be asked; ``otherwise`` is the next
    step of a script.
    """
    if not can_ask():
        raise Failure(Word.NO_TERMINAL, f"There is no terminal to ask on: {question}", otherwise)
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise Failure(
            Word.NOT_CONFIRMED, "You did not say yes, and nothing was changed.", "Run it again once you are sure."
        )
