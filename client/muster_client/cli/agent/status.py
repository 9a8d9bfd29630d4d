"""``muster agent status``: the state that the running agent reports."""

import typer

from muster_client.cli.arguments.invocation import Json, invocation
from muster_client.cli.durations import say_since
from muster_client.cli.output.display import Output
from muster_client.cli.output.documents import AgentStatusDocument, DropFields
from muster_client.cli.output.exit_codes import ExitCode
from muster_client.cli.output.failures import NAMELESS, for_people
from muster_client.cli.output.help_pages import examples
from muster_client.views import AgentStatus
from muster_protocol.reasons import REASONS
from muster_protocol.words import words

commands = typer.Typer()

EXIT_CODES = """\b
Exit codes:
  0    the agent runs and is connected to the hub
  1    the agent does not run
  2    the agent runs but is not connected
"""


@commands.command(epilog=examples("muster agent status", "muster agent status --json") + "\n\n" + EXIT_CODES)
def status(context: typer.Context, *, as_json: Json = False) -> None:
    """Show the state of the running agent."""
    output = Output(as_json=as_json)
    found = invocation(context)
    with found.device():
        said = found.agent().status()
    output.show(_document(said), lambda: _show(said, output))
    raise typer.Exit(ExitCode.OK if said.connected else ExitCode.AGENT_NOT_CONNECTED)


def _document(said: AgentStatus) -> AgentStatusDocument:
    drop = said.last_drop
    return AgentStatusDocument(
        client=said.client,
        pid=said.pid,
        hub_url=said.hub_url,
        hub_fingerprint=None if said.hub is None else said.hub.hex(),
        connected=said.connected,
        connected_since_ms=said.connected_since,
        standing=None if said.standing is None else said.standing.value,
        sessions=said.sessions,
        inbox=said.inbox,
        unpublished=said.unpublished,
        keep_alive_ms=said.keep_alive_ms,
        keep_alive_learnt=said.keep_alive_learnt,
        last_drop=None
        if drop is None
        else DropFields(
            at_ms=drop.at,
            cause=drop.cause,
            reason=None if drop.reason is None else drop.reason.value,
            sentence=drop.sentence,
        ),
    )


def _show(said: AgentStatus, output: Output) -> None:
    learnt = " (shorter than usual: the network cuts idle connections)" if said.keep_alive_learnt else ""
    rows = [
        ("agent", f"running, process {said.pid}"),
        ("hub", said.hub_url),
        ("hub words", "not connected to yet" if said.hub is None else " ".join(words(said.hub))),
        ("connected", _since(said)),
        ("sessions", str(said.sessions)),
        ("inbox", str(said.inbox)),
        ("not sent yet", _unpublished(said.unpublished)),
        ("keep-alive", f"every {said.keep_alive_ms / 1000:.0f} s{learnt}"),
        ("last loss", _last_drop(said)),
    ]
    if said.standing is not None:
        rows.insert(4, ("hub says", for_people(REASONS[said.standing].sentence, NAMELESS)))
    output.fields(rows)


def _unpublished(count: int) -> str:
    return f"{count} (changes of trust and grants that the hub does not have yet)" if count else "0"


def _since(said: AgentStatus) -> str:
    if not said.connected:
        return "no"
    if said.connected_since is None:
        return "yes"
    return f"for {say_since(said.connected_since)}"


def _last_drop(said: AgentStatus) -> str:
    drop = said.last_drop
    return "none" if drop is None else f"{say_since(drop.at)} ago: {drop.sentence or drop.cause}"
