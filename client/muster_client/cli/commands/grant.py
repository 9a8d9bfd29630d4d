"""``muster grant``: which devices may join sessions with this one without asking."""

from typing import Annotated

import typer

from muster_client import DEFAULT_GRANT_MS, Device
from muster_client.cli.arguments.invocation import Invocation, Json, invocation
from muster_client.cli.arguments.profiles import parse_profile
from muster_client.cli.commands.publish import publish
from muster_client.cli.durations import parse_duration_ms
from muster_client.cli.output.display import Output
from muster_client.cli.output.documents import ChangeDocument, GrantedFields, GrantsDocument
from muster_client.cli.output.failures import invalid
from muster_client.cli.output.help_pages import GroupedCommands, examples
from muster_client.cli.output.peer_views import grant_fields, peer_fields, say_grant, told_about
from muster_client.views import Peer
from muster_protocol.cards import Mode
from muster_protocol.governance import MAX_GRANT_MS

commands = typer.Typer(
    name="grant",
    cls=GroupedCommands,
    help="Permit sessions with a device without asking.",
    epilog=examples(
        "muster grant add nas --mode synchronize --for 30d", "muster grant list", "muster grant revoke nas"
    ),
)

PeerName = Annotated[str, typer.Argument(metavar="PEER", help="A device that you trust: its nickname or id.")]
Lasts = Annotated[
    int | None,
    typer.Option(
        "--for",
        parser=parse_duration_ms,
        metavar="TIME",
        help="Duration: 30d, 12h, 90m; default 90d, at most a year.",
        show_default=False,
    ),
]


@commands.command(
    epilog=examples(
        "muster grant add nas                                   join only, for 90 days",
        "muster grant add nas --mode synchronize --for 30d",
        "muster grant add nas --profile photos --profile music  only sessions of these profiles",
        "muster grant add guest --once --for 1h                 for one session",
    )
)
def add(
    context: typer.Context,
    peer: PeerName,
    *,
    mode: Annotated[Mode, typer.Option("--mode", help="The strongest mode that is granted.")] = Mode.JOIN,
    profile: Annotated[
        list[str] | None,
        typer.Option(
            "--profile", parser=parse_profile, metavar="NAME", help="Only sessions of this profile; repeatable."
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="For one join only.")] = False,
    lasts_ms: Lasts = None,
    as_json: Json = False,
) -> None:
    """Permit automatic joins with a trusted device.

    It replaces your earlier grant. Both devices must grant: a session needs a grant from each side.
    """
    lasts = _checked(lasts_ms)
    found = invocation(context)
    with found.device() as device:
        known = device.peers.resolve(peer)
        with told_about(known):
            device.peers.grant(known.client, mode=mode, profiles=profile or None, once=once, lasts_ms=lasts)
        _finish(found, device, known, Output(as_json=as_json))


@commands.command(name="list", epilog=examples("muster grant list", "muster grant list --json"))
def list_grants(context: typer.Context, *, as_json: Json = False) -> None:
    """List this device's grants and whether they are valid now."""
    output = Output(as_json=as_json)
    with invocation(context).device() as device:
        granted = [(peer, peer.grant) for peer in device.peers.all() if peer.grant is not None]
    document = GrantsDocument(
        grants=tuple(
            GrantedFields(nickname=peer.nickname, client=peer.client, grant=grant_fields(grant))
            for peer, grant in granted
        )
    )
    rows = [(peer.name, say_grant(grant), "yes" if peer.published else "not yet") for peer, grant in granted]
    output.show(document, lambda: _show(rows, output))


@commands.command(epilog=examples("muster grant renew nas --for 30d"))
def renew(context: typer.Context, peer: PeerName, *, lasts_ms: Lasts = None, as_json: Json = False) -> None:
    """Renew the last grant, with new time from now on."""
    lasts = _checked(lasts_ms)
    found = invocation(context)
    with found.device() as device:
        known = device.peers.resolve(peer)
        with told_about(known):
            device.peers.renew(known.client, lasts_ms=lasts)
        _finish(found, device, known, Output(as_json=as_json))


@commands.command(epilog=examples("muster grant revoke nas"))
def revoke(context: typer.Context, peer: PeerName, *, as_json: Json = False) -> None:
    """Revoke a grant.

    From now on that device has to ask. Sessions that it is in continue.
    """
    found = invocation(context)
    with found.device() as device:
        known = device.peers.resolve(peer)
        with told_about(known):
            device.peers.revoke(known.client)
        _finish(found, device, known, Output(as_json=as_json))


def _checked(lasts_ms: int | None) -> int:
    if lasts_ms is None:
        return DEFAULT_GRANT_MS
    if lasts_ms > MAX_GRANT_MS:
        raise invalid("A grant lasts a year at most.", "Use a shorter --for; `muster grant renew` extends it later.")
    return lasts_ms


def _finish(found: Invocation, device: Device, known: Peer, output: Output) -> None:
    peer = device.peers.resolve(known.client)
    publication = publish(found, device)
    output.show(
        ChangeDocument(peer=peer_fields(peer), hub=publication.fields),
        lambda: output.line(f"Automatic joins with {peer.name}: {say_grant(peer.grant)}."),
    )
    publication.note(output)


def _show(rows: list[tuple[str, str, str]], output: Output) -> None:
    if not rows:
        output.line("Nothing is granted. Next: muster grant add PEER --for 30d")
        return
    output.table(("device", "automatic joins", "hub knows"), rows)
