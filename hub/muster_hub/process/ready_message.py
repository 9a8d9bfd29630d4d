"""The ready message on standard output: lines for people, or one JSON line for scripts."""

import asyncio
import sys
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from muster_hub.config.settings import Enrolment, Settings, Tls
from muster_hub.node.node import Node
from muster_hub.process.first_invitation import first_invitation
from muster_hub.store.urls import describe
from muster_protocol.words import words

_NAME_WIDTH: Final = 18


class Ready(Struct, frozen=True, kw_only=True):
    """A serving node. ``kept`` says what its store keeps, ``certificate`` which certificate devices see.

    ``urls`` are those that devices dial, the first one as invitations name it.
    """

    url: str
    fingerprint: str
    pid: int
    words: tuple[str, ...]
    kept: str
    certificate: str | None
    urls: tuple[str, ...]
    enrolment: Enrolment
    tls: Tls


def ready(node: Node, now: datetime) -> Ready:
    """Return the facts of a node that serves."""
    return Ready(
        url=node.url,
        fingerprint=node.fingerprint.hex(),
        pid=node.pid,
        words=words(node.fingerprint),
        kept=f"version {node.kept.version or 'unknown'}. {node.kept.sentence}",
        certificate=None if node.certificate is None else node.certificate.describe(now),
        urls=node.urls,
        tls=node.tls,
        enrolment=node.context.settings.enrolment or "open",
    )


async def announce(settings: Settings, told: Ready, *, workers: tuple[int, ...] = ()) -> None:
    """Print, for people, where the hub listens and what to do next; with an invitation for the first device."""
    invitation = await asyncio.to_thread(first_invitation, settings.data_dir)
    store = "embedded" if settings.store is None else describe(settings.store)
    lines = {
        "connect a device": f"muster init --code {invitation}" if invitation else _way_in(told),
        "it is dialled at": _elsewhere(settings, told),
        "the hub's words": " ".join(told.words),
        "data": str(settings.data_dir),
        "store": f"{store}, {told.kept}",
        "certificate": told.certificate,
        "workers": f"{len(workers)} processes" if workers else None,
        "end": "Ctrl-C",
    }
    text = "".join(f"  {name:<{_NAME_WIDTH}}{value}\n" for name, value in lines.items() if value is not None)
    say(f"Muster hub, listening on {told.url}\n{text}")


def _way_in(told: Ready) -> str:
    by_hand = f"muster init --hub {told.urls[0]}"
    if told.tls == "own":
        by_hand += f", then muster hub trust --fingerprint {told.fingerprint}"
    match told.enrolment:
        case "open":
            return by_hand
        case "invited":
            return "muster init --code LINE, with a line of `muster hub enrolment code`"
        case "listed":
            return f"{by_hand}, and here `muster hub enrolment allow ID`"


def _elsewhere(settings: Settings, told: Ready) -> str | None:
    """Return all URLs of a hub that was told none; where they lead nowhere, only a person knows better."""
    if settings.origin or len(told.urls) == 1:
        return None
    return f"{', '.join(told.urls)} (in a container or behind NAT, name another: --origin wss://HOST:PORT)"


async def announce_json(settings: Settings, told: Ready, *, workers: tuple[int, ...] = ()) -> None:
    """Print one JSON line for a script; ``workers`` are process ids, if there are several."""
    line = {"url": told.url, "fingerprint": told.fingerprint, "pid": told.pid, "data_dir": str(settings.data_dir)}
    line |= {"urls": told.urls, "tls": told.tls}
    say(msgspec.json.encode(line | ({"workers": workers} if workers else {})).decode() + "\n")


def say(text: str) -> None:
    """Write to standard output and flush."""
    sys.stdout.write(text)
    sys.stdout.flush()
