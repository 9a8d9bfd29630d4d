"""All commands of ``muster``, and the options before the command."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from muster_client.cli.agent import command as agent
from muster_client.cli.arguments.invocation import Invocation, invocation
from muster_client.cli.commands import (
    doctor,
    enrolment,
    grant,
    hub_trust,
    identity,
    inbox,
    init,
    session,
    trust,
    who,
    why,
)
from muster_client.cli.output.help_pages import Group, GroupedCommands, examples
from muster_client.cli.plugins import MountedCommands
from muster_client.cli.start import command as start
from muster_client.errors import DeviceError
from muster_client.visible import visible

DISTRIBUTION = "musterhub"

app = typer.Typer(
    name="muster",
    cls=MountedCommands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=examples(
        "muster init                          once on each machine",
        "muster id                            shows its id text, for the other machine",
        "muster trust add nas ID-TEXT         on both, each with the other's id text",
        "muster grant add nas --for 30d       on both: sessions may start without asking",
        "muster agent                         on both, while they should accept calls",
        "muster session start nas --wait      on one of them",
    ),
)


def _show_version(*, wanted: bool) -> None:
    if not wanted:
        return
    try:
        found = version(DISTRIBUTION)
    except PackageNotFoundError:
        found = "(not installed: run from a source tree)"
    typer.echo(f"muster {found}")
    raise typer.Exit


@app.callback(invoke_without_command=True)
def muster(
    context: typer.Context,
    *,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="MUSTER_DATA_DIR", metavar="PATH", help="The folder of the device's data.", show_default=False
        ),
    ] = None,
    show_version: Annotated[  # noqa: ARG001 - the callback has done it
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Call your trusted devices into a session.

    Devices prove who they are by keys that people compared once; no code is copied for each session.
    """
    found = invocation(context)
    found.data_dir = data_dir
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        _point_to_the_start(found)


def _point_to_the_start(found: Invocation) -> None:
    """Show the first step if this machine has no device yet."""
    try:
        with found.device():
            return
    except DeviceError as error:
        typer.echo(f"\nThis machine: {visible(str(error))}. Next: muster init", err=True)


session_app = typer.Typer(
    name="session",
    cls=GroupedCommands,
    help="Start, list, show, leave and close sessions.",
    epilog=examples("muster session start nas --wait", "muster session list", "muster session close 4kq7"),
)
session_app.add_typer(start.commands)
session_app.add_typer(session.commands)

for commands, group in (
    (init.commands, Group.FIRST),
    (identity.commands, Group.FIRST),
    (agent.commands, Group.DAILY),
    (session_app, Group.DAILY),
    (who.commands, Group.DAILY),
    (doctor.commands, Group.DAILY),
    (why.commands, Group.DAILY),
    (inbox.commands, Group.DAILY),
    (trust.commands, Group.TRUST),
    (grant.commands, Group.TRUST),
    (enrolment.commands, Group.HUB),
    (hub_trust.commands, Group.HUB),
):
    app.add_typer(commands, rich_help_panel=group)
