"""``muster enrolment``: invite another device to this device's hub, or use an invitation."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from muster_client.cli.arguments.invitation import read_invitation
from muster_client.cli.arguments.invocation import Json, invocation
from muster_client.cli.commands.ask_hub import ask_hub
from muster_client.cli.output.display import Output
from muster_client.cli.output.documents import HubDocument, InvitationDocument
from muster_client.cli.output.help_pages import GroupedCommands, examples

if TYPE_CHECKING:
    from muster_client import Hub
    from muster_protocol.enrolment import Invitation
    from muster_protocol.ids import TimeMs

commands = typer.Typer(
    name="enrolment",
    cls=GroupedCommands,
    help="Invite another device to this device's hub, or use an invitation.",
    epilog=examples("muster enrolment code", "muster enrolment use -"),
)


@commands.command(epilog=examples("muster enrolment code", "muster enrolment code --json"))
def code(context: typer.Context, *, as_json: Json = False) -> None:
    """Make an invitation for one other device: one line, good for 24 hours and one use.

    A hub that takes only invited devices lets each of them invite 10 others a day. Trust is another matter: the new
    device and yours still compare keys.
    """
    output = Output(as_json=as_json)

    async def make(hub: "Hub") -> "tuple[Invitation, TimeMs]":
        return await hub.make_invitation()

    with invocation(context).device() as device:
        made, expires_at = ask_hub(device, make)
    output.show(InvitationDocument(invitation=made.text(), expires_at_ms=expires_at), lambda: output.line(made.text()))
    if not as_json:
        until = f"{datetime.fromtimestamp(expires_at / 1000, UTC):%Y-%m-%d %H:%M} UTC"
        output.note(
            f"Good once, the hub says until {until}. On the new machine: `muster init --code -`, then paste the line."
        )


@commands.command(epilog=examples("muster enrolment use -", "muster enrolment use wss://192.0.2.7:7627#..."))
def use(
    context: typer.Context,
    invitation: Annotated[
        str, typer.Argument(metavar="INVITATION", help="The line; `-` asks for it, or reads it from standard input.")
    ],
    *,
    as_json: Json = False,
) -> None:
    """Use an invitation on a machine that is a device already.

    It sets the device to the hub that the invitation names, and to that hub's key. Trust and grants stay.
    """
    output = Output(as_json=as_json)
    found = read_invitation(invitation)
    with invocation(context).device() as device:
        device.use_invitation(found)
        invocation(context).agent().notify()
        # Shown at once, so that a hub that does not take it says so now.
        ask_hub(device, _nothing)
        document = HubDocument(hub_url=device.hub_url, fingerprint=found.hub.hex())
    output.show(document, lambda: output.line(f"{found.url} took the invitation: it is this device's hub from now on."))


async def _nothing(hub: "Hub") -> None:
    del hub
