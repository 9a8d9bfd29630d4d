"""Help pages in plain text, the same on a terminal and in a pipe: commands in groups, each with examples."""

from enum import StrEnum
from typing import Any

import typer
from typer.core import TyperGroup
from typing_extensions import override

NAME_COLUMN = 12
"""Characters for the command names in a list of commands."""


class Group(StrEnum):
    """The groups of commands, in the order of the help page."""

    FIRST = "First steps"
    DAILY = "Every day"
    TRUST = "Trust and grants"
    HUB = "Running a hub"


_EXAMPLES: dict[str, tuple[str, ...]] = {
    Group.FIRST: ("muster init --hub wss://hub.example.org", "muster id --qr"),
    Group.DAILY: ("muster session start nas laptop --wait", "muster why nas"),
    Group.TRUST: ("muster trust add nas ID-TEXT", "muster grant add nas --mode synchronize --for 30d"),
    Group.HUB: ("muster hub", "muster hub trust"),
}
_OTHERS = "Commands"


class GroupedCommands(TyperGroup):
    """A group of commands whose help lists them under headings."""

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Show the help page if no command is named, unless the group is a command itself."""
        if not args and not self.invoke_without_command and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)

    @override
    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the group's description and then its commands, which come before the options."""
        super().format_help_text(ctx, formatter)
        self._list_commands(ctx, formatter)

    @override
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write nothing: the commands are already above the options."""

    def _list_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - the framework has no public names
        groups: dict[str, list[tuple[str, str]]] = {heading: [] for heading in Group}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                heading = getattr(command, "rich_help_panel", None) or _OTHERS
                groups.setdefault(heading, []).append((name, command.get_short_help_str(limit=100)))
        for heading, rows in groups.items():
            if rows:
                with formatter.section(heading):
                    formatter.write_dl([(name.ljust(NAME_COLUMN), line) for name, line in rows])
                    formatter.write_text(_preformatted(_EXAMPLES.get(heading, ())))


def examples(*lines: str) -> str:
    """Return the end of a help page: examples, one a line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def _preformatted(lines: tuple[str, ...]) -> str:
    return "\b\n" + "\n".join(f"$ {line}" for line in lines)
