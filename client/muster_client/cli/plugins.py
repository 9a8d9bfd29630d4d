"""Commands of other packages: entry points in the group ``muster.commands``, each a Typer app."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typing_extensions import override

from muster_client.cli.output.help_pages import Group, GroupedCommands

ENTRY_POINTS = "muster.commands"
SHARED = frozenset({"hub"})
"""Names of commands whose subcommands come from this package and from an entry point."""


class MountedCommands(GroupedCommands):
    """The commands of this package, then those of entry points, which are loaded on use."""

    @override
    def list_commands(self, ctx: Any) -> list[str]:
        """Return all names, this package's own first."""
        own = super().list_commands(ctx)
        return own + sorted({point.name for point in entry_points(group=ENTRY_POINTS)} - set(own))

    @override
    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of this name, or None."""
        own = super().get_command(ctx, cmd_name)
        if own is not None and cmd_name not in SHARED:
            return own
        brought = next((_load(point) for point in entry_points(group=ENTRY_POINTS, name=cmd_name)), None)
        if isinstance(own, TyperGroup) and isinstance(brought, TyperGroup):
            brought.commands = {**own.commands, **brought.commands}
        return brought or own


def _load(point: EntryPoint) -> TyperGroup | TyperCommand | None:
    """Load an app as a command; return None if a package that it needs is not installed."""
    try:
        app = point.load()
    except ImportError:
        return None
    command = typer.main.get_command(app)
    if not isinstance(command, TyperGroup | TyperCommand):
        return None
    command.name = point.name
    command.rich_help_panel = Group.HUB
    return command
