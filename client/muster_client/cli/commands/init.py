"""``muster init``: make this machine a device."""

from typing import Annotated

import typer

from muster_client import Device
from muster_client.cli.arguments.invocation import Json, invocation
from muster_client.cli.arguments.tls_ca import TlsCa, read_tls_ca
from muster_client.cli.commands.identity import id_document, show_id
from muster_client.cli.output.help_pages import Group, examples
from muster_client.cli.output.output import Output

DEFAULT_HUB = "ws://127.0.0.1:7627"
"""Where ``muster hub`` listens when nothing is configured."""

commands = typer.Typer()


@commands.command(
    rich_help_panel=Group.FIRST, epilog=examples("muster init", "muster init --hub wss://hub.example.org")
)
def init(
    context: typer.Context,
    *,
    hub: Annotated[
        str, typer.Option("--hub", envvar="MUSTER_HUB", metavar="URL", help="The hub to meet others on.")
    ] = DEFAULT_HUB,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="A name for this device, shown here only.")] = "",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow ws:// to another machine: who calls whom is then open to read.")
    ] = False,
    tls_ca: TlsCa = None,
    as_json: Json = False,
) -> None:
    """Make this machine a device.

    It gets a key and an empty list of trusted devices. Nothing is sent to anybody. The key never leaves this
    machine; to move to another machine, make a new device there.
    """
    output = Output(as_json=as_json)
    found = invocation(context)
    # Read before anything is made: a wrong file leaves no half of a device.
    authority = None if tls_ca is None else read_tls_ca(tls_ca)
    with Device.create(found.device_path, hub_url=hub, name=name, insecure=insecure) as device:
        device.trust_authority(authority)
        output.show(id_document(device), lambda: _welcome(device, output))


def _welcome(device: Device, output: Output) -> None:
    output.line("This machine is a device now.")
    output.line()
    show_id(device, output)
    output.line()
    output.line(
        "next:  On the other device run: muster trust add NICKNAME ID-TEXT, with the id text above; and here with its."
    )
