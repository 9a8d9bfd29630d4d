"""The ready message on standard output: lines for people, or one JSON line for scripts."""

import sys
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from muster_hub.config.certificate import ServerCertificate, describe_expiry
from muster_hub.config.settings import Settings
from muster_hub.node.node import Node
from muster_hub.store.urls import describe
from muster_protocol.words import words

_NAME_WIDTH: Final = 18


class Ready(Struct, frozen=True, kw_only=True):
    """A serving node. ``kept`` says what its store keeps, ``certificate`` which certificate devices see."""

    url: str
    fingerprint: str
    pid: int
    words: tuple[str, ...]
    kept: str
    certificate: str | None


def ready(node: Node, now: datetime) -> Ready:
    """Return the facts of a node that serves."""
    return Ready(
        url=node.url,
        fingerprint=node.fingerprint.hex(),
        pid=node.pid,
        words=words(node.fingerprint),
        kept=f"version {node.kept.version or 'unknown'}. {node.kept.sentence}",
        certificate=None if node.certificate is None else _certificate(node.certificate, now),
    )


def announce(settings: Settings, told: Ready, *, workers: tuple[int, ...] = ()) -> None:
    """Print, for people, where the hub listens and what to do next."""
    store = "embedded" if settings.store is None else describe(settings.store)
    lines = {
        "connect a device": f"muster init --hub {told.url}",
        "the hub's words": " ".join(told.words),
        "data": str(settings.data_dir),
        "store": f"{store}, {told.kept}",
        "certificate": told.certificate,
        "workers": f"{len(workers)} processes" if workers else None,
        "end": "Ctrl-C",
    }
    text = "".join(f"  {name:<{_NAME_WIDTH}}{value}\n" for name, value in lines.items() if value is not None)
    say(f"Muster hub, listening on {told.url}\n{text}")


def announce_json(settings: Settings, told: Ready, *, workers: tuple[int, ...] = ()) -> None:
    """Print one JSON line for a script; ``workers`` are process ids, if there are several."""
    line = {"url": told.url, "fingerprint": told.fingerprint, "pid": told.pid, "data_dir": str(settings.data_dir)}
    say(msgspec.json.encode(line | ({"workers": workers} if workers else {})).decode() + "\n")


def say(text: str) -> None:
    """Write to standard output and flush."""
    sys.stdout.write(text)
    sys.stdout.flush()


def _certificate(certificate: ServerCertificate, now: datetime) -> str:
    fault = describe_expiry(certificate, now)
    return f"of {certificate.host or 'no host'}; {fault or f'valid until {certificate.not_after:%Y-%m-%d %H:%M} UTC'}"
