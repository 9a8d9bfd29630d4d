"""Connections as the store knows them: who is connected where, under which number (SPEC.md section 4.5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from muster_hub.routing.caller import Caller
from muster_hub.store import keys
from muster_hub.store.adapter import Reply, Store, Word
from muster_hub.store.rows import CompatibilityRow, InstanceRow, PeerRow, Seat, instance_row, pack, peer_row, seat
from muster_hub.store.scripts import Script, script
from muster_protocol.cards import VerifiedCard
from muster_protocol.codec import encode
from muster_protocol.connect import Role
from muster_protocol.errors import Refused
from muster_protocol.frames import DropCause
from muster_protocol.ids import ClientId, Fingerprint, InstanceId, TimeMs
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import statement_hash

Instances: TypeAlias = tuple[tuple[int, InstanceRow], ...]
"""A device's connections, each by its number."""

MAX_CLI_INSTANCES = 8
"""Command lines of one device that may be connected at once."""

_CONNECT = script("connect")
_FENCE = script("fence")
_DEPART = script("depart")
_REGISTER = script("register")
_CONFIRM = script("confirm")
_LOOK = script("look")
_ONLY_LOOK = Script.of("look", _LOOK.source.decode().replace("#!lua\n", "#!lua flags=no-writes\n", 1))
"""The same for one who does not watch: it writes nothing, and so runs also when the store's memory is full."""


@dataclass(frozen=True, slots=True)
class ConnectingDevice:
    """A device that proved itself and wants in. ``token_counter`` is 0 unless it showed a genuine token."""

    card: VerifiedCard
    role: Role
    instance: InstanceId
    token_counter: int

    @property
    def client(self) -> ClientId:
        """The device's name."""
        return self.card.card.client


@dataclass(frozen=True, slots=True)
class PendingCut:
    """What has to be carried into sessions before the connection is acknowledged."""

    why: str
    ver: int
    about: Fingerprint | None


@dataclass(frozen=True, slots=True)
class Registered:
    """The device is in. ``issued`` 0: no token. ``superseded`` are the connections that it took the place of."""

    number: int
    issued: int
    standing: Reason | None
    newest_serial: int
    superseded: tuple[Seat, ...]
    sessions: tuple[str, ...]
    watching: tuple[str, ...]
    cuts: tuple[PendingCut, ...]


@dataclass(frozen=True, slots=True)
class NotRegistered:
    """The device is not in: ``retired`` or ``forked`` keys, ``revoked``, or ``full`` with the places that are taken."""

    word: str
    taken: Instances = ()


@dataclass(frozen=True, slots=True)
class PresenceRecord:
    """A device as somebody who asked may see it: its word about the asker, its connections, and when it went."""

    about_asker: PeerRow | None
    last_seen: TimeMs | None
    cause: DropCause | None
    instances: Instances
    back_by_ms: int = 0
    """Until when it is expected back, after its node ended as planned; 0 if it is not."""

    def trusts(self, fingerprint: Fingerprint) -> bool:
        """Tell whether the device trusts the asker under this key."""
        about = self.about_asker
        return about is not None and about.kind == "trust" and about.fingerprint == fingerprint


async def connect(
    store: Store, newcomer: ConnectingDevice, row: InstanceRow, lost: Sequence[int] = ()
) -> Registered | NotRegistered:
    """Enter a connection; ``lost`` are numbers in ``NotRegistered.taken`` whose node is lost. Raises StoreError."""
    card = newcomer.card
    args: list[Word] = [
        newcomer.client,
        await store.not_after_ms(),
        b"".join(card.fingerprints),
        newcomer.role,
        pack(row),
        newcomer.instance,
        compatibility(card),
        encode(card.signed),
        card.card.serial,
        statement_hash(Kind.CARD, card.signed.body),
        newcomer.token_counter,
        *lost,
    ]
    return _connected(await store.run(_CONNECT, _connect_keys(newcomer.client), args), card.fingerprint)


async def depart(
    store: Store, client: ClientId, numbers: Sequence[int], cause: DropCause, *, back_by_ms: int = 0
) -> tuple[str, ...] | None:
    """Take connections out; return the nodes to tell, or None if they were gone. Raises StoreError.

    ``back_by_ms`` says until when, by the store's clock, the device is expected back; 0 if it is not.
    """
    where = [keys.device(client), keys.instances(client), keys.watchers(client)]
    match await store.run(_DEPART, where, [await store.not_after_ms(), cause, back_by_ms, *numbers]):
        case [1, list(watching)]:
            return words(watching)
        case _:
            return None


async def register(
    store: Store, client: ClientId, number: int, row: InstanceRow, fingerprint: Fingerprint
) -> tuple[str, ...] | None:
    """Enter a connection anew under its number; return the nodes to tell, or None when its place is another's.

    Raises StoreError.
    """
    where = [keys.device(client), keys.instances(client), keys.peers(client), keys.watchers(client)]
    args: list[Word] = [await store.not_after_ms(), number, row.role, pack(row), row.instance, fingerprint]
    match await store.run(_REGISTER, where, args):
        case [b"registered", list(watching)]:
            return words(watching)
        case _:
            return None


async def confirm(store: Store, client: ClientId, number: int, counter: int) -> str:
    """Note that a token is on the device's disk: ``confirmed``, ``superseded`` or ``unknown``. Raises StoreError."""
    reply = await store.run(_CONFIRM, [keys.device(client)], [await store.not_after_ms(), number, counter])
    return word(reply)


async def read_presence(
    store: Store,
    client: ClientId,
    asker: ClientId,
    fingerprint: Fingerprint,
    *,
    watching_node: str = "",
    watch_ms: int = 0,
) -> PresenceRecord:
    """Look at a device for an asker; with a node, have that node told of changes for so long. Raises StoreError."""
    where = [keys.device(client), keys.instances(client), keys.peers(client), keys.watchers(client)]
    args: list[Word] = [asker, fingerprint, await store.not_after_ms(), watching_node, watch_ms]
    match await store.run(_LOOK if watching_node else _ONLY_LOOK, where, args):
        case [bytes(about), bytes(last_seen), bytes(cause), list(rows), bytes(back_by)]:
            return PresenceRecord(
                about_asker=peer_row(about) if about else None,
                last_seen=TimeMs(int(last_seen)) or None,
                cause=DropCause(cause.decode()) if cause else None,
                instances=instances(rows),
                back_by_ms=int(back_by),
            )
        case reply:
            raise TypeError(f"look returned {type(reply).__name__}")


async def agent_seat(store: Store, client: ClientId) -> Seat | None:
    """Find a device's agent. Raises StoreError."""
    found = await read_presence(store, client, client, Fingerprint(b""))
    agents = [seat(number, row) for number, row in found.instances if row.role is Role.AGENT]
    return agents[0] if agents else None


def compatibility(card: VerifiedCard) -> bytes:
    """Give the row of what a device can do."""
    body = card.card
    return pack(CompatibilityRow(body.protocol.low, body.protocol.high, body.app, body.modes))


def instances(rows: Sequence[Reply]) -> Instances:
    """Read a reply of numbers and rows in turn."""
    flat = [item for item in rows if isinstance(item, bytes)]
    return tuple((int(number), instance_row(row)) for number, row in zip(flat[::2], flat[1::2], strict=True))


def words(reply: Sequence[Reply]) -> tuple[str, ...]:
    """Read a reply of names."""
    return tuple(item.decode() for item in reply if isinstance(item, bytes))


def word(reply: Reply) -> str:
    """Read a reply that is one word."""
    if not isinstance(reply, bytes):
        raise TypeError("not a word")
    return reply.decode()


def _connect_keys(client: ClientId) -> list[bytes]:
    return [
        keys.device(client),
        keys.instances(client),
        keys.peers(client),
        keys.noted(client),
        keys.watchers(client),
        keys.outbox(keys.bucket(client)),
        keys.grants(client),
    ]


def _connected(reply: Reply, fingerprint: Fingerprint) -> Registered | NotRegistered:
    match reply:
        case [
            b"connected",
            int(number),
            int(issued),
            bytes(standing),
            int(serial),
            list(superseded),
            list(sessions),
            list(watching),
            list(cuts),
        ]:
            return Registered(
                number=number,
                issued=issued,
                standing=Reason(standing.decode()) if standing else None,
                newest_serial=serial,
                superseded=tuple(seat(number, row) for number, row in instances(superseded)),
                sessions=words(sessions),
                watching=words(watching),
                cuts=_cuts(cuts, fingerprint),
            )
        case [b"full", list(rows)]:
            return NotRegistered("full", instances(rows))
        case [bytes(refusal)]:
            return NotRegistered(refusal.decode())
        case _:
            raise TypeError("not a reply of connect")


def _cuts(reply: Sequence[Reply], fingerprint: Fingerprint) -> tuple[PendingCut, ...]:
    whys = [item.decode() for item in reply if isinstance(item, bytes)]
    vers = [item for item in reply if isinstance(item, int)]
    return tuple(
        PendingCut(why, ver, fingerprint if why == "rotation" else None) for why, ver in zip(whys, vers, strict=True)
    )


async def check_current(store: Store, caller: Caller) -> None:
    """Raise ``Refused(superseded)`` unless the caller's connection is current. Raises ``StoreUnavailable``."""
    if not await store.run(_FENCE, [keys.instances(caller.client)], [caller.connection]):
        raise Refused(Reason.SUPERSEDED)
