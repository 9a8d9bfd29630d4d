"""What a command shows: words and tables for people, one document for scripts, plain text through a pipe."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from rich.console import Console

GAP = "  "
"""Between the columns of a table in plain text."""

_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


class Output:
    """Where a command's facts go. With ``as_json`` people's lines are left out, and only documents are written."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.terminal = sys.stdout.isatty() and not as_json
        """Somebody sees this as it is written: colours and live changes are of use."""

    def show(self, document: msgspec.Struct, people: Callable[[], None]) -> None:
        """Write a command's facts in the one form or the other."""
        if self.as_json:
            self.document(document)
        else:
            people()

    def document(self, document: msgspec.Struct) -> None:
        """Write one JSON document on a line of its own, whether or not it was asked for."""
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
        sys.stdout.flush()

    def line(self, text: str = "") -> None:
        """Write a line for people."""
        if not self.as_json:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    def note(self, text: str) -> None:
        """Say something beside the facts: to the error channel, so that a pipe carries facts only."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def strong(self, text: str) -> str:
        """Make words stand out on a terminal."""
        return f"{_BOLD}{text}{_PLAIN}" if self._styled else text

    def quiet(self, text: str) -> str:
        """Make words stand back on a terminal."""
        return f"{_DIM}{text}{_PLAIN}" if self._styled else text

    def fields(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Write names and values below each other."""
        listed = list(pairs)
        width = max(len(name) for name, _ in listed)
        for name, value in listed:
            self.line(f"{self.quiet(name.ljust(width))}{GAP}{value}")

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table: drawn on a terminal, aligned columns in plain text."""
        if self.terminal:
            self._drawn(heads, rows)
        else:
            self._plain(heads, rows)

    @property
    def _styled(self) -> bool:
        return self.terminal and not os.environ.get("NO_COLOR")

    def _drawn(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich.table import Table  # noqa: PLC0415 - a quarter of the start-up time, and only a terminal needs it
        from rich.text import Text  # noqa: PLC0415 - as above

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for head in heads:
            table.add_column(head, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        console().print(table)

    def _plain(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        lines = [[head.upper() for head in heads], *rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            self.line(GAP.join(cells).rstrip())


def console() -> "Console":
    """Give rich's console on the terminal, without its guesses at what to colour."""
    import rich.console  # noqa: PLC0415 - as above

    return rich.console.Console(highlight=False, emoji=False)
