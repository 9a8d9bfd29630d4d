"""``muster init``: set up this machine as a device."""

from typing import Annotated

import typer

from muster_client import Device
from muster_client.cli.arguments.insecure import Insecure
from muster_client.cli.arguments.invitation import read_invitation
from muster_client.cli.arguments.invocation import Json, invocation
from muster_client.cli.arguments.tls_ca import TlsCa, read_tls_ca
from muster_client.cli.commands.identity import id_document, show_id
from muster_client.cli.output.display import Output
from muster_client.cli.output.help_pages import Group, examples

DEFAULT_HUB = "ws://127.0.0.1:7627"
"""The default address of ``muster hub``."""

commands = typer.Typer()


@commands.command(
    rich_help_panel=Group.FIRST,
    epilog=examples("muster init", "muster init --hub wss://hub.example.org", "muster init --code -"),
)
def init(
    context: typer.Context,
    *,
    hub: Annotated[
        str, typer.Option("--hub", envvar="MUSTER_HUB", metavar="URL", help="The hub to connect to.")
    ] = DEFAULT_HUB,
    code: Annotated[
        str | None,
        typer.Option(
            "--code",
            metavar="INVITATION",
            help="An invitation, which names its hub; `-` asks for it, or reads it from standard input.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="A name for this device, shown here only.")] = "",
    insecure: Insecure = False,
    tls_ca: TlsCa = None,
    as_json: Json = False,
) -> None:
    """Set up this machine as a device.

    It gets a key and an empty list of trusted devices. Nothing is sent. The key never leaves this machine; on another
    machine, set up a new device.
    """
    output = Output(as_json=as_json)
    found = invocation(context)
    # Read first, so that a bad file leaves no half-made device.
    authority = None if tls_ca is None else read_tls_ca(tls_ca)
    invited = None if code is None else read_invitation(code)
    url = hub if invited is None else invited.url
    with Device.create(found.device_path, hub_url=url, name=name, insecure=insecure, invitation=invited) as device:
        device.trust_authority(authority)
        output.show(id_document(device), lambda: _welcome(device, output))


def _welcome(device: Device, output: Output) -> None:
    output.line("This machine is a device now.")
    output.line()
    show_id(device, output)
    output.line()
    output.line("next:  On the other device, run `muster trust add NICKNAME ID-TEXT` with the id text above.")
    output.line("       On this device, run it with the other device's id text.")
