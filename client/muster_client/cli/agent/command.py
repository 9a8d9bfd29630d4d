"""``muster agent``: run the agent that answers calls, and the group of commands about it."""

from typing import Annotated

import typer

from muster_client.cli.agent import service, status
from muster_client.cli.arguments.accept import AcceptOption
from muster_client.cli.arguments.invocation import Invocation, invocation
from muster_client.cli.arguments.tls_ca import TlsCa, remember
from muster_client.cli.output.display import Output
from muster_client.cli.output.help_pages import GroupedCommands, examples

commands = typer.Typer(
    name="agent",
    cls=GroupedCommands,
    epilog=examples(
        "muster agent",
        "muster agent --accept granted",
        "muster agent --on-session './sync.sh'    its environment has MUSTER_SESSION and more",
        "muster agent install                     run it as a service at each login",
        "muster agent status",
    ),
)
commands.add_typer(status.commands)
commands.add_typer(service.commands)

OnSession = Annotated[
    str | None, typer.Option("--on-session", metavar="CMD", help="Shell command to run for each session joined.")
]
Accepts = Annotated[
    AcceptOption,
    typer.Option("--accept", help="Which invites to accept; see above."),
]


@commands.callback(invoke_without_command=True)
def agent(
    context: typer.Context,
    *,
    on_session: OnSession = None,
    accept: Accepts = AcceptOption.ALL,
    tls_ca: TlsCa = None,
    as_json: Annotated[bool, typer.Option("--json", help="Log JSON lines, as it does without a terminal.")] = False,
) -> None:
    """Run the agent that answers calls.

    It connects to the hub, answers invites and holds the keys of sessions, in memory only. One agent runs per
    device. Ctrl-C or SIGTERM ends it.

    With --accept all, invites that a grant covers are accepted, and invites that ask wait in the inbox. With granted,
    those that ask are declined; with asked, the automatic ones; with none, all.

    The program of --on-session gets MUSTER_SESSION, MUSTER_MODE, MUSTER_PROFILE, MUSTER_CREATOR, MUSTER_MEMBERS and
    MUSTER_EPOCH in its environment, never a key.
    """
    if context.invoked_subcommand is None:
        _run(invocation(context), on_session, accept, tls_ca, Output(as_json=as_json))


def _run(found: Invocation, on_session: str | None, accept: AcceptOption, tls_ca: str | None, output: Output) -> None:
    # What an agent needs is slow to import, and this is the one command that needs it.
    import asyncio  # noqa: PLC0415

    from muster_client.cli.agent.log import AgentLog, configure_logs  # noqa: PLC0415
    from muster_client.cli.agent.run import serve  # noqa: PLC0415

    with found.device() as device:
        configure_logs(as_json=not output.terminal)
        remember(device, tls_ca)
        asyncio.run(serve(device, AgentLog(device, output), accept, on_session))
