"""``muster hub enrolment``: which devices a running hub serves."""

from datetime import UTC, datetime
from typing import Annotated, TypeVar

import typer

from muster_hub.admin.messages import (
    AllowDevice,
    AnyRequest,
    Changed,
    EndEnrolment,
    Enrolment,
    Failed,
    InvitationMade,
    ListEnrolment,
    MakeInvitation,
)
from muster_hub.cli.operator import DataDir, Json, Said, answered, show
from muster_protocol.errors import Refused
from muster_protocol.ids import ClientId, TimeMs, parse_client_id

CODE_NAME_CHARS = 8

app = typer.Typer(
    name="enrolment",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Invite and admit devices to a running hub, list and end that. They ask the hub by its private socket.",
)

T = TypeVar("T")


@app.command()
def code(context: typer.Context, *, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Make an invitation for one device: one line, good for 24 hours and one use.

    On the new machine: muster init --code LINE. On one that is a device already: muster enrolment use LINE.
    """
    made = _one(answered(context, data_dir, MakeInvitation()), InvitationMade)
    show(made, [made.invitation], as_json=as_json)
    if not as_json:
        typer.echo(f"Good once, until {_when(made.expires_at)}. On the new machine: muster init --code LINE", err=True)


@app.command("list")
def list_all(context: typer.Context, *, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the invitations and the enrolled devices, the newest first."""
    found = _one(answered(context, data_dir, ListEnrolment()), Enrolment)
    lines = [f"enrolment: {found.which}"]
    lines += [f"code {each.name}  {_fate(each.used_by, each.expires_at)}{_by(each.made_by)}" for each in found.codes]
    lines += [f"device {each.client}  since {_when(each.since)}{_by(each.by)}" for each in found.devices]
    show(found, lines, as_json=as_json)


@app.command()
def allow(
    context: typer.Context,
    devices: Annotated[list[str], typer.Argument(metavar="ID...", help="Device ids, as `muster id` prints them.")],
    *,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Admit devices by their ids."""
    for client in [_id(each) for each in devices]:
        done = _one(answered(context, data_dir, AllowDevice(client=client)), Changed)
        show(done, [f"{client} is enrolled{'' if done.changed else ' already'}."], as_json=as_json)


@app.command()
def revoke(
    context: typer.Context,
    what: Annotated[
        list[str], typer.Argument(metavar="ID|CODE...", help="Device ids, or the names of unused codes in the list.")
    ],
    *,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """End the enrolment of devices, which closes their connections at once; or withdraw unused codes.

    What a device trusts and granted stays with the device: this ends its use of this hub alone.
    """
    for each in what:
        named = each.lower() if len(each) == CODE_NAME_CHARS else _id(each)
        done = _one(answered(context, data_dir, _end(named)), Changed)
        show(
            done, [f"{named} is not enrolled any more." if done.changed else f"{named} was not there."], as_json=as_json
        )


def _end(named: str) -> AnyRequest:
    if len(named) == CODE_NAME_CHARS and not set(named) <= set("0123456789abcdef"):
        raise typer.BadParameter(f"{named} is no code of the list, and no device id")
    return EndEnrolment(what=named)


def _id(text: str) -> ClientId:
    try:
        return parse_client_id(text)
    except Refused as refused:
        raise typer.BadParameter(f"{text!r} is no device id: {refused.detail}") from None


def _one(answer: object, kind: type[T]) -> T:
    match answer:
        case kind():
            return answer
        case Failed(sentence=sentence):
            raise Said(sentence)
        case _:
            raise Said("The hub answered something else; is it of another version?")


def _fate(used_by: str, expires_at: TimeMs) -> str:
    if used_by:
        return f"used by {used_by}"
    ended = datetime.now(UTC).timestamp() * 1000 > expires_at
    return f"{'ended' if ended else 'unused until'} {_when(expires_at)}"


def _by(device: str) -> str:
    return f", by {device}" if device else ""


def _when(at: TimeMs) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M} UTC"
