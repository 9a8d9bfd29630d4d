"""``muster id``: this device's id text and words."""

import io
from typing import Annotated

import typer

from muster_client import Device
from muster_client.cli.arguments.id_text import id_text
from muster_client.cli.arguments.invocation import Json, Yes, confirm, invocation
from muster_client.cli.commands.ask_hub import ask_hub
from muster_client.cli.output.display import Output, Styled
from muster_client.cli.output.documents import ConfirmedDocument, IdDocument
from muster_client.cli.output.failures import Failure
from muster_client.cli.output.help_pages import GroupedCommands, examples
from muster_client.errors import HubRefused
from muster_protocol.reasons import Reason
from muster_protocol.words import words

commands = typer.Typer(
    name="id",
    cls=GroupedCommands,
    epilog=examples("muster id", "muster id --qr", "muster id --json", "muster id confirm"),
)


@commands.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    *,
    qr: Annotated[bool, typer.Option("--qr", help="Show the id text as a QR code too.")] = False,
    as_json: Json = False,
) -> None:
    """Show this device's id text and its 8 words.

    Send the id text to the other device and enter it there with `muster trust add`; then compare the words there
    with the words here. None of it is secret.
    """
    if context.invoked_subcommand is not None:
        return
    output = Output(as_json=as_json)
    with invocation(context).device() as device:
        output.show(id_document(device), lambda: show_id(device, output))
        if qr and not as_json:
            output.line()
            output.drawing(qr_code(id_text(device.client, device.fingerprint)))


@commands.command(name="confirm", epilog=examples("muster id confirm", "muster id confirm --yes"))
def confirm_only_copy(context: typer.Context, *, yes: Yes = False, as_json: Json = False) -> None:
    """Confirm that this device's data have no second copy.

    For when the hub suspects that two machines use the same data. Until you confirm, automatic joins with this device
    are suspended. The hub takes it from the newest copy only: the one whose agent connected last.
    """
    output = Output(as_json=as_json)
    with invocation(context).device() as device:
        if not yes:
            question = "Is this the only machine that uses this device's data?"
            confirm(question, otherwise="Once you are sure, run `muster id confirm --yes`.")
        try:
            ask_hub(device, lambda hub: hub.clear_suspicion(), confirms=True)
        except HubRefused as refused:
            if refused.reason is Reason.CLONE_SUSPECTED:
                raise _older_copy() from None
            raise
        document = ConfirmedDocument(client=device.client, cleared=True)
        output.show(document, lambda: output.line("Confirmed. Automatic joins work again."))


def _older_copy() -> Failure:
    return Failure(
        Reason.CLONE_SUSPECTED,
        "The hub knows a newer copy of this device's data, so nothing was confirmed here.",
        "To go on with this copy, start `muster agent` here and then run `muster id confirm` again.",
        said_by="the hub",
    )


def id_document(device: Device) -> IdDocument:
    """Return the document about this device."""
    return IdDocument(
        client=device.client,
        fingerprint=device.fingerprint.hex(),
        words=device.words,
        id_text=id_text(device.client, device.fingerprint),
        name=device.settings.name or None,
        hub_url=device.hub_url,
        hub_fingerprint=None if device.pinned_hub is None else device.pinned_hub.hex(),
        data_dir=str(device.path),
    )


def show_id(device: Device, output: Output) -> None:
    """Write this device's identity for people."""
    pairs: list[tuple[str, str | Styled]] = [
        ("id text", output.strong(id_text(device.client, device.fingerprint))),
        ("words", output.strong(" ".join(device.words))),
        ("hub", device.hub_url),
        ("hub words", "not connected to yet" if device.pinned_hub is None else " ".join(words(device.pinned_hub))),
        ("data", str(device.path)),
    ]
    if device.settings.name:
        pairs.insert(0, ("name", device.settings.name))
    output.fields(pairs)


def qr_code(text: str) -> str:
    """Return a QR code drawn with half blocks, dark on light on any terminal."""
    import segno  # noqa: PLC0415 - needed only here

    drawn = io.StringIO()
    segno.make(text, error="m", micro=False).terminal(drawn, compact=True)
    return drawn.getvalue().rstrip("\n")
