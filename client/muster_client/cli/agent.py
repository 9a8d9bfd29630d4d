"""``muster agent``: be there for calls, for as long as it runs."""

from typing import Annotated

import typer

from muster_client.cli.accepting import Accept
from muster_client.cli.help_pages import Group, examples
from muster_client.cli.invocation import invocation
from muster_client.cli.output import Output

commands = typer.Typer()


@commands.command(
    rich_help_panel=Group.DAILY,
    epilog=examples(
        "muster agent",
        "muster agent --accept granted",
        "muster agent --on-session './sync.sh'    it finds MUSTER_SESSION and more in its environment",
    ),
)
def agent(
    context: typer.Context,
    *,
    on_session: Annotated[
        str | None, typer.Option("--on-session", metavar="CMD", help="Run this by the shell for each session joined.")
    ] = None,
    accept: Annotated[
        Accept,
        typer.Option("--accept", help="Say yes to what grants cover, and let who asks wait in the inbox; or less."),
    ] = Accept.ALL,
    as_json: Annotated[bool, typer.Option("--json", help="Log JSON lines, as without a terminal.")] = False,
) -> None:
    """Be there for calls, as long as it runs.

    It connects to the hub, answers invites and holds the keys of sessions. One agent runs per device. It ends
    with Ctrl-C or SIGTERM; session keys are in its memory only.
    The program of --on-session gets MUSTER_SESSION, MUSTER_MODE, MUSTER_PROFILE, MUSTER_CREATOR, MUSTER_MEMBERS and
    MUSTER_EPOCH in its environment, and never a key.
    """
    # What an agent needs is slow to import, and this is the one command that needs it.
    import asyncio  # noqa: PLC0415

    from muster_client.cli.agent_log import AgentLog, configure_logs  # noqa: PLC0415
    from muster_client.cli.serving import serve  # noqa: PLC0415

    output = Output(as_json=as_json)
    configure_logs(as_json=not output.terminal)
    with invocation(context).device() as device:
        asyncio.run(serve(device, AgentLog(device, output), accept, on_session))
