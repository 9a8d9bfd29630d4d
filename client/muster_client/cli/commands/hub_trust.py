"""``muster hub trust`` and ``muster hub use``: the hub's current key, and its addresses."""

from typing import Annotated

import typer

from muster_client import Device
from muster_client.cli.arguments.id_text import parse_fingerprint
from muster_client.cli.arguments.insecure import Insecure
from muster_client.cli.arguments.invocation import Json, Yes, confirm, invocation
from muster_client.cli.arguments.tls_ca import TlsCa, remember
from muster_client.cli.output.display import Output
from muster_client.cli.output.documents import HubKeyDocument, HubUrlsDocument
from muster_client.cli.output.failures import Failure, Word, invalid
from muster_client.cli.output.help_pages import GroupedCommands, examples
from muster_protocol.ids import Fingerprint
from muster_protocol.words import words

commands = typer.Typer(name="hub", cls=GroupedCommands)


@commands.callback(invoke_without_command=True)
def hub(context: typer.Context) -> None:
    """Run a hub on this machine, or trust the key of one."""
    if context.invoked_subcommand is None:
        raise Failure(
            Word.HUB_NOT_INSTALLED,
            "The packages that a hub needs are not installed.",
            "Run `pip install 'musterhub[hub]'`, then `muster hub`.",
        )


@commands.command(epilog=examples("muster hub trust", "muster hub trust --fingerprint 9f86d081...   in a script"))
def trust(
    context: typer.Context,
    *,
    fingerprint: Annotated[
        str | None,
        typer.Option(
            "--fingerprint", metavar="HEX", help="Fingerprint that the hub must have, hex or base32; asks nothing."
        ),
    ] = None,
    tls_ca: TlsCa = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Trust the hub's current key.

    Use this after the hub's operator changed its key. Until you do, this device does not connect to a hub whose key
    is not the one that it pinned.
    """
    output = Output(as_json=as_json)
    expected = _read(fingerprint)
    with invocation(context).device() as device:
        remember(device, tls_ca)
        shown = _shown(device, expected)
        if expected is not None and shown != expected:
            raise Failure(
                Word.NOT_CONFIRMED,
                "The hub's key is not the one that --fingerprint names.",
                "Do not use this hub until its operator has explained why.",
            )
        if shown != device.pinned_hub and expected is None and not yes:
            _compare(device, shown, output)
        changed = shown != device.pinned_hub
        device.pin_hub(shown)
        document = HubKeyDocument(hub_url=device.hub_url, fingerprint=shown.hex(), words=words(shown), changed=changed)
    said = "This device trusts the hub's key now." if changed else "This device trusts the hub's key already."
    output.show(document, lambda: output.line(said))


@commands.command(
    epilog=examples("muster hub use wss://hub.example.org", "muster hub use wss://10.0.0.5:7627 wss://hub.example.org")
)
def use(
    context: typer.Context,
    urls: Annotated[list[str], typer.Argument(metavar="URL...", help="Addresses of one hub, 8 at most.")],
    *,
    insecure: Insecure = False,
    as_json: Json = False,
) -> None:
    """Set the addresses of this device's hub; trust and grants stay.

    They are tried in turn. The pinned key stays too: to a hub with another key this device does not connect until
    `muster hub trust`.
    """
    output = Output(as_json=as_json)
    with invocation(context).device() as device:
        device.use_hub(urls, insecure=insecure)
        document = HubUrlsDocument(hub_urls=tuple(urls))
    invocation(context).agent().notify()
    output.show(document, lambda: output.line(f"The hub of this device is at {', '.join(urls)}. Next: muster doctor"))


def _read(fingerprint: str | None) -> Fingerprint | None:
    try:
        return None if fingerprint is None else parse_fingerprint(fingerprint)
    except ValueError as error:
        raise invalid(f"Not a fingerprint: {error}.", "Ask the hub's operator for it again.") from error


def _shown(device: Device, expected: Fingerprint | None) -> Fingerprint:
    # The event loop and the transport are slow to import, and most commands need neither.
    import asyncio  # noqa: PLC0415

    from muster_client import shown_hub_key  # noqa: PLC0415

    return asyncio.run(shown_hub_key(device, expected))


def _compare(device: Device, shown: Fingerprint, output: Output) -> None:
    if device.pinned_hub is not None:
        output.note(f"This device pinned another key before: {' '.join(words(device.pinned_hub))}")
    output.note(f"{device.hub_url} has these words now; its operator sees the same ones where the hub runs:")
    for line in ("", f"    {' '.join(words(shown))}", ""):
        output.note(line)
    confirm("Do these words match the ones that its operator reads out?", otherwise="In a script, pass --fingerprint.")
