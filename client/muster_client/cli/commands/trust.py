"""``muster trust``: the devices that this one trusts, whose keys a person compared."""

from typing import Annotated

import typer

from muster_client import Device
from muster_client.cli.arguments.id_text import NamedKey, parse_fingerprint, parse_id
from muster_client.cli.arguments.invocation import Json, Yes, confirm, invocation
from muster_client.cli.commands.publish import publish
from muster_client.cli.commands.trust_review import review
from muster_client.cli.output.display import Output
from muster_client.cli.output.documents import ChangeDocument, PeersDocument
from muster_client.cli.output.failures import Failure, Word, invalid
from muster_client.cli.output.help_pages import GroupedCommands, examples
from muster_client.cli.output.peer_views import peer_fields, say_grant, told_about
from muster_client.views import Peer
from muster_protocol.errors import Refused
from muster_protocol.ids import ClientId, Fingerprint
from muster_protocol.words import words

QUESTION = "Do these words match the ones on its screen?"

commands = typer.Typer(
    name="trust",
    cls=GroupedCommands,
    help="Choose the devices that this one trusts.",
    epilog=examples("muster trust add nas ID-TEXT", "muster trust list", "muster trust remove nas"),
)


@commands.command(
    epilog=examples(
        "muster trust add nas muster:ID:FINGERPRINT",
        "muster trust add nas ID --fingerprint 9f86d081...   in a script",
    )
)
def add(
    context: typer.Context,
    nickname: Annotated[str, typer.Argument(metavar="NICKNAME", help="Your name for it on this device.")],
    identity: Annotated[
        str,
        typer.Argument(metavar="ID-TEXT", help="Its id text, from `muster id` there; or its id, with --fingerprint."),
    ],
    *,
    fingerprint: Annotated[
        str | None,
        typer.Option("--fingerprint", metavar="HEX", help="Its key's fingerprint, hex or base32; asks nothing."),
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Trust a device whose words you compared.

    This shows its 8 words; compare them with those that `muster id` shows on that device.
    A trusted device may ask you into a session; after `muster grant add` it need not ask. Do the same on the other
    device.
    """
    output = Output(as_json=as_json)
    found = invocation(context)
    named = _read(identity, fingerprint)
    with found.device() as device:
        key = _key(named, device)
        if fingerprint is None and not yes:
            _compare(nickname, named.client, key, device, output)
        device.peers.trust(named.client, key, nickname)
        peer = device.peers.resolve(named.client)
        publication = publish(found, device)
    output.show(
        ChangeDocument(peer=peer_fields(peer), hub=publication.fields),
        lambda: output.line(f"You trust {peer.name} now. For automatic joins: muster grant add {peer.name}"),
    )
    publication.note(output)


@commands.command(name="list", epilog=examples("muster trust list", "muster trust list --json"))
def list_peers(context: typer.Context, *, as_json: Json = False) -> None:
    """List the trusted devices and their grants."""
    output = Output(as_json=as_json)
    with invocation(context).device() as device:
        peers = [peer for peer in device.peers.all() if peer.trusted]
    document = PeersDocument(peers=tuple(peer_fields(peer) for peer in peers))
    output.show(document, lambda: _show(peers, output))


@commands.command(epilog=examples("muster trust remove nas"))
def remove(
    context: typer.Context,
    peer: Annotated[str, typer.Argument(metavar="PEER", help="Its nickname or id.")],
    *,
    as_json: Json = False,
) -> None:
    """Stop trusting a device.

    Its grant ends too, and it is removed from the sessions that this device created.
    """
    output = Output(as_json=as_json)
    found = invocation(context)
    with found.device() as device:
        before = device.peers.resolve(peer)
        with told_about(before):
            device.peers.untrust(before.client)
        after = device.peers.resolve(before.client)
        publication = publish(found, device)
    output.show(
        ChangeDocument(peer=peer_fields(after), hub=publication.fields),
        lambda: output.line(f"You no longer trust {before.name}."),
    )
    publication.note(output)


commands.command(epilog=examples("muster trust review", "muster trust review --reject 7k3q"))(review)


def _read(identity: str, fingerprint: str | None) -> NamedKey:
    try:
        named = parse_id(identity)
        given = None if fingerprint is None else parse_fingerprint(fingerprint)
    except (ValueError, Refused) as error:
        said = error.detail if isinstance(error, Refused) else str(error)
        raise invalid(
            f"Not a device id: {said}.", "Copy the whole id text from `muster id` on the other device."
        ) from error
    if None not in (given, named.fingerprint) and given != named.fingerprint:
        raise invalid(
            "The id text and --fingerprint name different keys.",
            "Run `muster id` on that device to see which is right.",
        )
    return NamedKey(named.client, given or named.fingerprint)


def _key(named: NamedKey, device: Device) -> Fingerprint:
    if named.client == device.client:
        raise invalid("This is the id of this device itself.", "Use the id text from `muster id` on the other device.")
    if named.fingerprint is None:
        raise invalid("An id alone does not name the key to trust.", "Pass the whole id text, or add --fingerprint.")
    return named.fingerprint


def _compare(nickname: str, client: ClientId, key: Fingerprint, device: Device, output: Output) -> None:
    """Show the words and ask; raises ``Failure`` unless the person says yes."""
    before = next((peer for peer in device.peers.all() if peer.client == client), None)
    if before is not None and before.fingerprint not in {None, key}:
        output.note(
            f"You know this device as {before.name}, with another key. Make sure that its key was changed on purpose."
        )
    output.note(f"`muster id` on {nickname} should show these words:")
    for line in ("", f"    {' '.join(words(key))}", ""):
        output.note(line)
    try:
        confirm(QUESTION, otherwise="In a script, pass --fingerprint with one from a safe source.")
    except Failure as failure:
        if failure.word is Word.NOT_CONFIRMED:
            failure.next_step = (
                "If the words differ, the id text was changed on the way: copy it again from the device itself."
            )
        raise


def _show(peers: list[Peer], output: Output) -> None:
    if not peers:
        output.line("You trust no device yet. Next: muster trust add NICKNAME ID-TEXT")
        return
    rows = [
        (peer.name, peer.client[:8], say_grant(peer.grant), "yes" if peer.published else "not yet") for peer in peers
    ]
    output.table(("device", "id", "automatic joins", "hub knows"), rows)
