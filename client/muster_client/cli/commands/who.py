"""``muster who``: which devices are online, as the hub reports."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from muster_client import Device
from muster_client.cli.arguments.invocation import Json, invocation
from muster_client.cli.commands.ask_hub import ask_hub
from muster_client.cli.durations import say_since
from muster_client.cli.output.display import Output
from muster_client.cli.output.documents import PresenceDocument, PresenceFields
from muster_client.cli.output.failures import invalid
from muster_client.cli.output.help_pages import Group, examples
from muster_client.cli.output.nicknames import Nicknames
from muster_protocol.frames import MAX_WATCHED, Presence, PresenceState
from muster_protocol.ids import ClientId

if TYPE_CHECKING:
    from muster_client import Hub

commands = typer.Typer()

_REMARKS = {
    PresenceState.HIDDEN: "the hub has no trust of it in this device",
    PresenceState.UNKNOWN: "the hub does not know at the moment",
}


@commands.command(
    rich_help_panel=Group.DAILY, epilog=examples("muster who", "muster who nas --json", "muster who --watch")
)
def who(
    context: typer.Context,
    *,
    peers: Annotated[list[str] | None, typer.Argument(metavar="PEER", help="Nicknames or ids.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Keep running and show changes until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Show which trusted devices are online.

    Without PEER, shows all that you trust. The hub reports only devices that trust you too.
    """
    output = Output(as_json=as_json)
    with invocation(context).device() as device:
        asked = _asked(device, peers or [])
        if not asked:
            output.show(
                PresenceDocument(devices=()), lambda: output.line("You trust no device yet. Next: muster trust add")
            )
            return
        names = Nicknames(device)
        ask_hub(device, lambda hub: _show(hub, asked, names, output, watch=watch))


def _asked(device: Device, names: Sequence[str]) -> tuple[ClientId, ...]:
    if names:
        asked = tuple(dict.fromkeys(device.peers.resolve(name).client for name in names))
    else:
        asked = tuple(peer.client for peer in device.peers.all() if peer.trusted)
    if len(asked) > MAX_WATCHED:
        raise invalid(f"A hub reports at most {MAX_WATCHED} devices at once.", "Name fewer devices.")
    return asked


async def _show(hub: "Hub", asked: tuple[ClientId, ...], names: Nicknames, output: Output, *, watch: bool) -> None:
    if not watch:
        _print(await hub.who(asked), names, output)
        return
    async for states in hub.watch(asked):
        _print(states, names, output)


def _print(states: tuple[Presence, ...], names: Nicknames, output: Output) -> None:
    document = PresenceDocument(devices=tuple(_fields(state, names) for state in states))
    rows = [(names.call(state.client), state.state.value, _since(state), _remark(state)) for state in states]
    output.show(document, lambda: output.table(("device", "the hub says", "since", ""), rows))


def _fields(state: Presence, names: Nicknames) -> PresenceFields:
    return PresenceFields(
        nickname=names.get(state.client),
        client=state.client,
        state=state.state.value,
        since_ms=state.since,
        cause=None if state.cause is None else state.cause.value,
    )


def _since(state: Presence) -> str:
    return "" if state.since is None else f"{say_since(state.since)} ago"


def _remark(state: Presence) -> str:
    if state.state is PresenceState.OFFLINE and state.cause is not None:
        return state.cause.value.replace("_", " ")
    return _REMARKS.get(state.state, "")
