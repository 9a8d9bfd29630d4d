"""Where a command writes: lines and tables for people, one JSON document for scripts."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from muster_client.visible import visible, visible_json

if TYPE_CHECKING:
    from rich.console import Console

GAP = "  "
"""Between the columns of a table in plain text."""

_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Styled:
    """A piece of a line with a style of its own. The text itself cannot change the style."""

    text: str
    style: str


class Output:
    """The output of a command. With ``as_json`` only documents are written, and no lines for people.

    Text from outside is written so that it moves no cursor and hides nothing (``visible``).
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.terminal = sys.stdout.isatty() and not as_json
        """Standard output is a terminal, so colours and live updates make sense."""

    def show(self, document: msgspec.Struct, people: Callable[[], None]) -> None:
        """Write the document for scripts, or the lines for people."""
        if self.as_json:
            self.document(document)
        else:
            people()

    def document(self, document: msgspec.Struct) -> None:
        """Write one JSON document on one line, with or without ``as_json``."""
        sys.stdout.write(visible_json(msgspec.json.encode(document).decode()) + "\n")
        sys.stdout.flush()

    def line(self, *pieces: str | Styled) -> None:
        """Write a line for people."""
        self.drawing("".join(self._shown(piece) for piece in pieces))

    def drawing(self, text: str) -> None:
        """Write lines that this program drew itself, as they are: a QR code, or a whole file."""
        if not self.as_json:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    def note(self, text: str) -> None:
        """Write a note to standard error, so that a pipe carries only results."""
        sys.stderr.write(visible(text) + "\n")
        sys.stderr.flush()

    def strong(self, text: str) -> Styled:
        """Return the text in bold on a terminal."""
        return Styled(text, _BOLD)

    def quiet(self, text: str) -> Styled:
        """Return the text dimmed on a terminal."""
        return Styled(text, _DIM)

    def _shown(self, piece: str | Styled) -> str:
        if isinstance(piece, str):
            return visible(piece)
        return f"{piece.style}{visible(piece.text)}{_PLAIN}" if self._styled else visible(piece.text)

    def fields(self, pairs: Iterable[tuple[str, str | Styled]]) -> None:
        """Write names and values in two columns."""
        listed = list(pairs)
        width = max(len(name) for name, _ in listed)
        for name, value in listed:
            self.line(self.quiet(name.ljust(width)), GAP, value)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table: styled on a terminal, aligned columns in plain text."""
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
            table.add_row(*(Text(visible(cell)) for cell in row))
        console().print(table)

    def _plain(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        lines = [[head.upper() for head in heads], *([visible(cell) for cell in row] for row in rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            self.line(GAP.join(cells).rstrip())


def console() -> "Console":
    """Return rich's console for the terminal, without automatic highlighting."""
    import rich.console  # noqa: PLC0415 - as above

    return rich.console.Console(highlight=False, emoji=False)
