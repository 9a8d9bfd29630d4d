"""``muster session list``, ``show``, ``leave``, ``close``: sessions as known to the hub and to this device's agent."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from muster_client.cli.arguments.invocation import Invocation, Json, invocation
from muster_client.cli.commands.ask_hub import ask_hub
from muster_client.cli.durations import say_until
from muster_client.cli.output.blocked import blocked
from muster_client.cli.output.display import Output
from muster_client.cli.output.documents import (
    MemberFields,
    SessionDocument,
    SessionEndDocument,
    SessionFields,
    SessionsDocument,
)
from muster_client.cli.output.failures import Failure, invalid, said_by
from muster_client.cli.output.help_pages import examples
from muster_client.cli.output.nicknames import Nicknames, short
from muster_client.cli.output.session_views import from_agent, listed_by_hub, shown_by_hub
from muster_client.errors import NoAgent, UnknownSession
from muster_client.views import SessionView
from muster_protocol.ids import ClientId, SessionId
from muster_protocol.reasons import Sayer

if TYPE_CHECKING:
    from muster_client import Hub

commands = typer.Typer()

SessionName = Annotated[
    str, typer.Argument(metavar="SESSION", help="The session's id, or its first characters if they are unique.")
]


@commands.command(name="list", epilog=examples("muster session list", "muster session list --json"))
def list_sessions(context: typer.Context, *, as_json: Json = False) -> None:
    """List the sessions of this device, as its agent knows them, or else as the hub says."""
    output = Output(as_json=as_json)
    found = invocation(context)
    with found.device() as device:
        names = Nicknames(device)
        held = _held(found)
        listed = {one.session: one for one in ask_hub(device, lambda hub: hub.sessions())}
        known = [from_agent(view, names, device.client, listed.get(view.id)) for view in held.values()]
    sessions = (*known, *(listed_by_hub(one, names) for one in listed.values() if one.session not in held))
    output.show(SessionsDocument(sessions=sessions), lambda: _show_all(sessions, names, output))


@commands.command(epilog=examples("muster session show 4kq7", "muster session show 4kq7 --json"))
def show(context: typer.Context, session: SessionName, *, as_json: Json = False) -> None:
    """Show one session and its members, as this device's agent knows them, or else as the hub says."""
    output = Output(as_json=as_json)
    found = invocation(context)
    with found.device() as device:
        names = Nicknames(device)
        held = _held(found)
        fields = ask_hub(device, lambda hub: _one(hub, session, names, device.client, held))
    output.show(SessionDocument(session=fields), lambda: _show_session(fields, names, output))


@commands.command(epilog=examples("muster session leave 4kq7"))
def leave(context: typer.Context, session: SessionName, *, as_json: Json = False) -> None:
    """Leave a session.

    The other members stay. If this device created the session, it ends for all of them.
    """
    output = Output(as_json=as_json)
    agent = invocation(context).agent()
    name = _find(session, (view.id for view in agent.sessions()))
    agent.leave(name)
    output.show(SessionEndDocument(session=name, state="left"), lambda: output.line(f"Left session {short(name)}."))


@commands.command(epilog=examples("muster session close 4kq7"))
def close(context: typer.Context, session: SessionName, *, as_json: Json = False) -> None:
    """Close a session for all members; only its creator can."""
    output = Output(as_json=as_json)
    agent = invocation(context).agent()
    name = _find(session, (view.id for view in agent.sessions()))
    agent.close_session(name)
    output.show(SessionEndDocument(session=name, state="closed"), lambda: output.line(f"Closed session {short(name)}."))


def _held(found: Invocation) -> dict[SessionId, SessionView]:
    """Return the sessions whose keys the agent holds; empty if no agent runs."""
    try:
        return {view.id: view for view in found.agent().sessions()}
    except NoAgent:
        return {}


async def _one(
    hub: "Hub", beginning: str, names: Nicknames, own: ClientId, held: dict[SessionId, SessionView]
) -> SessionFields:
    listed = {one.session: one for one in await hub.sessions()}
    name = _find(beginning, held.keys() | listed.keys())
    if name in held:
        return from_agent(held[name], names, own, listed.get(name))
    return shown_by_hub(await hub.session(name), names)


def _find(beginning: str, sessions: Iterable[SessionId]) -> SessionId:
    """Return a session by the first characters of its id; raises ``UnknownSession``, ``Failure`` if several match."""
    typed = beginning.strip().lower()
    found = [session for session in sessions if typed and session.startswith(typed)]
    if not found:
        raise UnknownSession(SessionId(beginning))
    if len(found) > 1:
        raise _ambiguous(beginning, found)
    return found[0]


def _ambiguous(beginning: str, found: list[SessionId]) -> Failure:
    return invalid(f"{len(found)} sessions begin with {beginning}.", "Type more of the id.")


def _show_all(sessions: tuple[SessionFields, ...], names: Nicknames, output: Output) -> None:
    if not sessions:
        output.line("This device is in no session. Next: muster session start TARGET")
        return
    rows = [
        (
            short(one.session),
            names.call(ClientId(one.creator)),
            one.mode,
            one.profile or "-",
            ", ".join(names.call(ClientId(member.client)) for member in one.members),
            _whose(one),
            _left(one),
        )
        for one in sessions
    ]
    output.table(("session", "by", "mode", "profile", "members", "says", "time left"), rows)


def _show_session(one: SessionFields, names: Nicknames, output: Output) -> None:
    output.fields(
        [
            ("session", one.session),
            ("by", names.call(ClientId(one.creator))),
            ("mode", one.mode if one.profile is None else f"{one.mode}, profile {one.profile}"),
            ("kind", one.kind or "-"),
            ("epoch", str(one.epoch)),
            ("key", "held by this device's agent" if one.held else "not held here"),
            ("who says", _whose(one)),
            ("time left", _left(one)),
        ]
    )
    output.line()
    output.table(("member", "state", ""), [_row(member, names) for member in one.members])
    for member in one.members:
        if member.blocks:
            output.line(blocked(names.call(ClientId(member.client))))


def _whose(one: SessionFields) -> str:
    return "this device" if one.held else "the hub"


def _row(member: MemberFields, names: Nicknames) -> tuple[str, str, str]:
    name = names.call(ClientId(member.client))
    reason = "" if member.reason is None else f": {member.reason}"
    if member.denied:
        return name, member.state or "", f"(the hub says that it is out{reason})"
    return name, member.state or "", f"({said_by(Sayer(member.said_by), name)} says{reason})"


def _left(one: SessionFields) -> str:
    if not one.open:
        return "closed"
    left = say_until(one.ends_at_ms)
    return f"{left} (the hub says)" if one.held and one.times_said_by == Sayer.HUB.value else left
