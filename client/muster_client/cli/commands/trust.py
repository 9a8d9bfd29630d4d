"""``muster trust``: whom this device trusts, because a person compared keys."""

from typing import Annotated

import typer

from muster_client import Device
from muster_client.cli.arguments.id_text import NamedKey, parse_fingerprint, parse_id
from muster_client.cli.arguments.invocation import Json, Yes, confirm, invocation
from muster_client.cli.commands.publish import publish
from muster_client.cli.output.documents import ChangeDocument, PeersDocument
from muster_client.cli.output.failures import Failure, Word, invalid
from muster_client.cli.output.help_pages import GroupedCommands, examples
from muster_client.cli.output.output import Output
from muster_client.cli.output.peer_views import peer_fields, say_grant, told_about
from muster_client.views import Peer
from muster_protocol.errors import Refused
from muster_protocol.ids import ClientId, Fingerprint
from muster_protocol.words import words

QUESTION = "Do these words match the ones on its screen?"

commands = typer.Typer(
    name="trust",
    cls=GroupedCommands,
    help="Say whom this device trusts.",
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
    nickname: Annotated[str, typer.Argument(metavar="NICKNAME", help="What you call it here.")],
    identity: Annotated[
        str, typer.Argument(metavar="ID-TEXT", help="From `muster id` on that device; or its id alone.")
    ],
    *,
    fingerprint: Annotated[
        str | None,
        typer.Option("--fingerprint", metavar="HEX", help="Its key's fingerprint, hex or base32: no question then."),
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Trust a device whose words you compared.

    Its 8 words are shown, to compare with those on its own screen.
    Trust alone lets it ask you; `muster grant add` lets it in without asking. Do the same on the other device.
    """
    output = Output(as_json=as_json)
    found = invocation(context)
    named = _read(identity, fingerprint)
    with found.device() as device:
        key = _key(named, device)
        if fingerprint is None and not yes:
            _compare(nickname, named.client, key, device, output)
        device.trust(named.client, key, nickname)
        peer = device.resolve(named.client)
        publication = publish(found, device)
    output.show(
        ChangeDocument(peer=peer_fields(peer), hub=publication.fields),
        lambda: output.line(f"You trust {peer.name} now. For automatic joins: muster grant add {peer.name}"),
    )
    publication.note(output)


@commands.command(name="list", epilog=examples("muster trust list", "muster trust list --json"))
def list_peers(context: typer.Context, *, as_json: Json = False) -> None:
    """List whom this device trusts, and what each is granted."""
    output = Output(as_json=as_json)
    with invocation(context).device() as device:
        peers = [peer for peer in device.peers() if peer.trusted]
    document = PeersDocument(peers=tuple(peer_fields(peer) for peer in peers))
    output.show(document, lambda: _show(peers, output))


@commands.command(epilog=examples("muster trust remove nas"))
def remove(
    context: typer.Context,
    peer: Annotated[str, typer.Argument(metavar="PEER", help="Its nickname or id.")],
    *,
    as_json: Json = False,
) -> None:
    """Trust a device no longer.

    Its grant ends too, and it is taken out of the sessions that this device made.
    """
    output = Output(as_json=as_json)
    found = invocation(context)
    with found.device() as device:
        before = device.resolve(peer)
        with told_about(before):
            device.untrust(before.client)
        after = device.resolve(before.client)
        publication = publish(found, device)
    output.show(
        ChangeDocument(peer=peer_fields(after), hub=publication.fields),
        lambda: output.line(f"You trust {before.name} no longer."),
    )
    publication.note(output)


def _read(identity: str, fingerprint: str | None) -> NamedKey:
    try:
        named = parse_id(identity)
        given = None if fingerprint is None else parse_fingerprint(fingerprint)
    except (ValueError, Refused) as error:
        said = error.detail if isinstance(error, Refused) else str(error)
        raise invalid(
            f"This is not read as an id: {said}.", "Copy it whole from `muster id` on the other device."
        ) from error
    if None not in (given, named.fingerprint) and given != named.fingerprint:
        raise invalid(
            "The id text and --fingerprint name different keys.", "Find out on the device itself which is right."
        )
    return NamedKey(named.client, given or named.fingerprint)


def _key(named: NamedKey, device: Device) -> Fingerprint:
    if named.client == device.client:
        raise invalid("This is the id of this device itself.", "Take the id text from `muster id` on the other device.")
    if named.fingerprint is None:
        raise invalid("An id alone does not name the key to trust.", "Give the whole id text, or --fingerprint.")
    return named.fingerprint


def _compare(nickname: str, client: ClientId, key: Fingerprint, device: Device, output: Output) -> None:
    """Show the words and ask; raises ``Failure`` unless the person says yes."""
    before = next((peer for peer in device.peers() if peer.client == client), None)
    if before is not None and before.fingerprint not in {None, key}:
        output.note(
            f"You know this device as {before.name}, with another key. Be sure that its key was changed on purpose."
        )
    output.note(f"{nickname} should show these words at `muster id`:")
    output.note(f"\n    {' '.join(words(key))}\n")
    try:
        confirm(QUESTION, otherwise="In a script, pass --fingerprint with one from a safe source.")
    except Failure as failure:
        if failure.word is Word.NOT_CONFIRMED:
            failure.next_step = (
                "If the words differ, take the id text from the device itself: on the way it was changed."
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
