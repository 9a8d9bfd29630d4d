"""``muster inbox``, ``accept``, ``decline``: invites that wait for the person at this device."""

from typing import Annotated

import typer

from muster_client.cli.arguments.invocation import Json, invocation
from muster_client.cli.durations import say_until
from muster_client.cli.output.display import Output
from muster_client.cli.output.documents import AnsweredDocument, InboxDocument, InviteFields
from muster_client.cli.output.help_pages import Group, examples
from muster_client.cli.output.nicknames import Nicknames, short
from muster_client.events import InboxEntry

commands = typer.Typer()

InviteName = Annotated[str, typer.Argument(metavar="NUMBER", help="The invite's number, or its whole id.")]


@commands.command(rich_help_panel=Group.DAILY, epilog=examples("muster inbox", "muster inbox --json"))
def inbox(context: typer.Context, *, as_json: Json = False) -> None:
    """List the invites that wait for your answer."""
    output = Output(as_json=as_json)
    found = invocation(context)
    with found.device() as device:
        names = Nicknames(device)
        waiting = found.agent().inbox()
    document = InboxDocument(invites=tuple(_fields(entry, names) for entry in waiting))
    output.show(document, lambda: _show(waiting, names, output))


@commands.command(rich_help_panel=Group.DAILY, epilog=examples("muster accept 7"))
def accept(context: typer.Context, invite: InviteName, *, as_json: Json = False) -> None:
    """Accept an invite and join its session."""
    _answer(context, invite, accepted=True, as_json=as_json)


@commands.command(rich_help_panel=Group.DAILY, epilog=examples("muster decline 7"))
def decline(context: typer.Context, invite: InviteName, *, as_json: Json = False) -> None:
    """Decline an invite.

    The device that sent it is told that you declined.
    """
    _answer(context, invite, accepted=False, as_json=as_json)


def _answer(context: typer.Context, invite: str, *, accepted: bool, as_json: bool) -> None:
    output = Output(as_json=as_json)
    found = invocation(context)
    with found.device() as device:
        names = Nicknames(device)
        agent = found.agent()
        entry = agent.accept(invite) if accepted else agent.decline(invite)
    said = "Accepted" if accepted else "Declined"
    output.show(
        AnsweredDocument(accepted=accepted, invite=_fields(entry, names)),
        lambda: output.line(f"{said}: {names.call(entry.creator)}, session {short(entry.session)}, mode {entry.mode}."),
    )


def _fields(entry: InboxEntry, names: Nicknames) -> InviteFields:
    return InviteFields(
        id=entry.id,
        number=entry.number,
        nickname=names.get(entry.creator),
        creator=entry.creator,
        session=entry.session,
        mode=entry.mode.value,
        profile=entry.profile,
        received_at_ms=entry.received_at,
        expires_at_ms=entry.expires_at,
    )


def _show(waiting: tuple[InboxEntry, ...], names: Nicknames, output: Output) -> None:
    if not waiting:
        output.line("No invites wait for your answer.")
        return
    rows = [
        (
            str(entry.number),
            names.call(entry.creator),
            entry.mode.value,
            entry.profile or "-",
            say_until(entry.expires_at),
        )
        for entry in waiting
    ]
    output.table(("number", "from", "mode", "profile", "time left"), rows)
    output.line("next:  muster accept NUMBER, or muster decline NUMBER")
