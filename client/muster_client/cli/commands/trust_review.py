"""``muster trust review``: unconfirmed trust and grants, which a copy of this device's data made."""

from typing import Annotated

import typer

from muster_client import Device
from muster_client.cli.arguments.invocation import Json, Yes, ask, can_ask, invocation
from muster_client.cli.commands.publish import publish
from muster_client.cli.durations import say_since
from muster_client.cli.output.display import Output
from muster_client.cli.output.documents import EndedFields, ReviewDocument
from muster_client.cli.output.failures import Failure, invalid
from muster_client.cli.output.peer_views import unconfirmed_fields
from muster_client.views import EndedElsewhere, Unconfirmed
from muster_protocol.errors import Refused
from muster_protocol.ids import ClientId
from muster_protocol.words import words

QUESTION = "Accept it, reject it, or leave it for later? [a/r/L]"
CHANGED = "Another statement came meanwhile; review again."
ENDED = "Ended by a copy of this device's data, and shown this once; trust or grant again what you did not end:"
MORE = "note:  The hub has more of these. Decide on some, then run `muster trust review` again."


def review(
    context: typer.Context,
    *,
    accept: Annotated[str | None, typer.Option("--accept", metavar="PEER", help="Accept what was listed.")] = None,
    reject: Annotated[str | None, typer.Option("--reject", metavar="PEER", help="End it at the hub as well.")] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """List, accept or reject unconfirmed trust and grants: those that a copy of this device's data made.

    After a restore from a backup they are your own newer ones. Otherwise somebody has a copy of this device's key.
    Until you accept them they do not count on this device. To reject a grant ends the one that you gave here as well.
    On a terminal this asks about each. What such a copy ended is over, and listed once.
    """
    output = Output(as_json=as_json)
    found = invocation(context)
    if sum((accept is not None, reject is not None, yes)) > 1:
        raise invalid("--accept, --reject and --yes exclude each other.", "Pass one of them.")
    with found.device() as device:
        if accept is not None:
            decided = _accept_listed(_unconfirmed_about(accept, device), device)
        elif reject is not None:
            device.peers.reject(*_unconfirmed_about(reject, device))
            decided = True
        elif yes:
            decided = _accept_listed(device.peers.unconfirmed(), device)
        else:
            decided = not as_json and can_ask() and _ask_about_each(device, output)
        publication = publish(found, device) if decided else None
        unconfirmed, ended = device.peers.unconfirmed(), device.peers.ended_elsewhere()
        document = ReviewDocument(
            unconfirmed=tuple(unconfirmed_fields(one) for one in unconfirmed),
            ended=tuple(EndedFields(client=one.peer, kind=one.kind.value) for one in ended),
            more=device.peers.more_unconfirmed,
            hub=None if publication is None else publication.fields,
        )
        output.show(document, lambda: _show(unconfirmed, ended, _names(device), output))
        if document.more:
            output.note(MORE)
        if publication is not None:
            publication.note(output)
        device.peers.mark_listed([*unconfirmed, *ended])


def _show(
    unconfirmed: tuple[Unconfirmed, ...],
    ended: tuple[EndedElsewhere, ...],
    names: dict[ClientId, str],
    output: Output,
) -> None:
    _show_unconfirmed(unconfirmed, names, output)
    if ended:
        output.line(ENDED)
        # Those that the person knows by name first: a copy can end any number of made-up ones.
        known_first = sorted(ended, key=lambda one: one.peer not in names)
        rows = [(names.get(one.peer, one.peer[:8]), one.kind.value) for one in known_first]
        output.table(("device", "what"), rows)


def _accept_listed(unconfirmed: tuple[Unconfirmed, ...], device: Device) -> bool:
    """Accept all of these; raises ``Failure`` if an earlier review did not list one of them as it is now."""
    if not all(one.listed for one in unconfirmed):
        raise _not_listed()
    try:
        device.peers.accept(*unconfirmed)
    except Refused:
        raise _not_listed() from None
    return bool(unconfirmed)


def _not_listed() -> Failure:
    return invalid(
        "Nothing was accepted: something is unconfirmed that `muster trust review` has not listed yet.",
        "List it with `muster trust review`, then accept what you know.",
    )


def _ask_about_each(device: Device, output: Output) -> bool:
    """Ask about each, and return whether anything was decided. A rejected trust takes its grant along."""
    decided = False
    for one in device.peers.unconfirmed():
        if one.version not in {each.version for each in device.peers.unconfirmed()}:
            continue
        for line in _described(one, _names(device)):
            output.note(line)
        answer = ask(QUESTION)
        decided = _decide(answer, one, device, output) or decided
    return decided


def _decide(answer: str, one: Unconfirmed, device: Device, output: Output) -> bool:
    try:
        if answer in {"a", "accept"}:
            device.peers.accept(one)
        elif answer in {"r", "reject"}:
            device.peers.reject(one)
        else:
            return False
    except Refused:
        # While the person read, the agent may have fetched a newer one. What was decided before stays decided.
        output.note(CHANGED)
        return False
    return True


def _described(one: Unconfirmed, names: dict[ClientId, str]) -> tuple[str, ...]:
    name = names.get(one.peer, one.peer)
    return (
        "",
        f"{_what(one)} {name}, first seen {say_since(one.seen_at)} ago",
        f"    words of its key: {' '.join(words(one.fingerprint))}",
    )


def _what(one: Unconfirmed) -> str:
    if one.mode is None:
        return "Trust in"
    profiles = "" if one.profiles is None else f", only {', '.join(one.profiles)}"
    return f"A grant ({one.mode}{profiles}) to"


def _names(device: Device) -> dict[ClientId, str]:
    return {peer.client: peer.nickname for peer in device.peers.all() if peer.nickname is not None}


def _unconfirmed_about(named: str, device: Device) -> tuple[Unconfirmed, ...]:
    names, unconfirmed = _names(device), device.peers.unconfirmed()
    peers = {one.peer for one in unconfirmed}
    matching = [peer for peer in peers if named == names.get(peer) or peer.startswith(named.lower())]
    if len(matching) != 1:
        raise invalid(f"Nothing is unconfirmed about exactly one device {named}.", "See `muster trust review`.")
    return tuple(one for one in unconfirmed if one.peer == matching[0])


def _show_unconfirmed(unconfirmed: tuple[Unconfirmed, ...], names: dict[ClientId, str], output: Output) -> None:
    if not unconfirmed:
        output.line("Nothing is unconfirmed: all trust and grants were made here or accepted by you.")
        return
    rows = [
        (
            names.get(one.peer, one.peer[:8]),
            one.kind.value,
            one.mode or "",
            f"{say_since(one.seen_at)} ago",
            " ".join(words(one.fingerprint)),
        )
        for one in unconfirmed
    ]
    output.table(("device", "what", "mode", "first seen", "words of its key"), rows)
