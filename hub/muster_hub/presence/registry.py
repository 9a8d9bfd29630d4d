"""The registry of connections in the store: adding, confirming, refreshing and removing them (SPEC.md section 4.5)."""

from collections.abc import Sequence
from dataclasses import dataclass

from muster_hub.presence.record import instances
from muster_hub.routing.caller import Caller
from muster_hub.store import keys
from muster_hub.store.adapter import Reply, Store, Word
from muster_hub.store.cells import items
from muster_hub.store.errors import StoreCause, StoreUnavailable
from muster_hub.store.rows import CompatibilityRow, InstanceRow, Location, location, pack
from muster_hub.store.scripts import script, variant
from muster_hub.store.steps import attempt, change
from muster_protocol.cards import VerifiedCard
from muster_protocol.codec import encode
from muster_protocol.connect import Role
from muster_protocol.errors import Refused
from muster_protocol.frames import DropCause
from muster_protocol.ids import ClientId, EnrolmentCode, Fingerprint, InstanceId
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import statement_hash

_CONNECT = script("connect")
_CONNECT_WHEN_FULL = variant("connect")
_CARD = script("card")
_FENCE = script("fence")
_DEPART = script("depart")
_REGISTER = script("register")
_CONFIRM = script("confirm")


@dataclass(frozen=True, slots=True)
class ConnectingDevice:
    """A device that authenticated and is not registered yet.

    ``token_counter`` is 0 unless it has a genuine token. ``challenged_ms`` is a time before which the challenge was not
    sent, by the store's clock.
    """

    card: VerifiedCard
    role: Role
    instance: InstanceId
    token_counter: int
    challenged_ms: int
    enrolment: EnrolmentCode | None = None

    @property
    def client(self) -> ClientId:
        """The device's id."""
        return self.card.card.client


@dataclass(frozen=True, slots=True)
class PendingCut:
    """A restriction to apply to the device's sessions before the connection is acknowledged."""

    why: str
    ver: int
    about: Fingerprint | None


@dataclass(frozen=True, slots=True)
class Registered:
    """A registered connection. ``issued`` is the counter of its new token, 0 for none.

    ``superseded`` are the connections that it replaces, ``sessions`` those that ``cuts`` apply to, ``watching`` the
    nodes to notify, ``kept_card`` the bytes of its card if the store did not have it, else 0.
    """

    number: int
    issued: int
    standing: Reason | None
    newest_serial: int
    changes: int
    superseded: tuple[Location, ...]
    sessions: tuple[str, ...]
    watching: tuple[str, ...]
    cuts: tuple[PendingCut, ...]
    kept_card: int


async def connect(
    store: Store, connecting: ConnectingDevice, row: InstanceRow, *, only_enrolled: bool = False
) -> Registered:
    """Register a connection.

    Raises ``Refused``: ``not_enrolled`` for a device that is not, where ``only_enrolled`` may connect, before anything
    is written; ``key_mismatch`` for retired keys or another chain than the hub's, ``device_revoked``,
    ``expired`` for the token of a command line that another one followed meanwhile; ``StoreError``.
    """
    card = connecting.card
    args: list[Word] = [
        connecting.client,
        b"".join(card.fingerprints),
        connecting.role,
        pack(row),
        connecting.instance,
        compatibility(card),
        encode(card.signed),
        card.card.serial,
        statement_hash(Kind.CARD, card.signed.body),
        connecting.token_counter,
        connecting.challenged_ms,
        int(only_enrolled),
    ]
    return _connected(await _run_connect(store, connecting.client, args), card.fingerprint)


async def _run_connect(store: Store, client: ClientId, args: Sequence[Word]) -> Reply:
    try:
        return await change(store, _CONNECT, _connect_keys(client), *args)
    except StoreUnavailable as error:
        # Only a device that is known may come in then: an unknown one would add rows, and has nothing to restrict.
        if error.cause is not StoreCause.MEMORY_FULL or not await is_known(store, client):
            raise
    return await change(store, _CONNECT_WHEN_FULL, _connect_keys(client), *args)


async def is_known(store: Store, client: ClientId) -> bool:
    """Return whether the hub holds statements of a device. Raises ``StoreUnavailable``."""
    match await attempt(store, _CARD, [keys.device(client), keys.peers(client)], client):
        case [_, bytes(card)]:
            return card != b""
        case reply:
            raise TypeError(f"card returned {type(reply).__name__}")


async def depart(
    store: Store, client: ClientId, numbers: Sequence[int], cause: DropCause, *, back_by_ms: int = 0
) -> tuple[str, ...] | None:
    """Remove connections; return the nodes to notify, or None if they were gone. Raises ``StoreError``.

    ``back_by_ms`` is when the device should be back, by the store's clock; 0 if it is not expected back.
    """
    where = [keys.device(client), keys.instances(client), keys.watchers(client)]
    match await change(store, _DEPART, where, cause, back_by_ms, *numbers):
        case [1, list(watching)]:
            return words(watching)
        case _:
            return None


async def register(
    store: Store, caller: Caller, row: InstanceRow, *, only_enrolled: bool = False
) -> tuple[str, ...] | None:
    """Register a caller's connection again; return the nodes to notify, or None if it is current no more.

    Raises ``StoreError``.
    """
    client = caller.client
    where = [keys.device(client), keys.instances(client), keys.peers(client), keys.watchers(client)]
    where += [keys.grants(client), keys.uses(client), keys.stated(client), keys.enrolled(keys.bucket(client))]
    args: list[Word] = [caller.connection, row.role, pack(row), row.instance, caller.fingerprint]
    args += [client, int(only_enrolled)]
    try:
        reply = await change(store, _REGISTER, where, *args)
    except Refused:
        return None
    return words(items(reply))


async def confirm(store: Store, client: ClientId, number: int, counter: int) -> None:
    """Record that a token is on the device's disk.

    Raises ``Refused``: ``superseded`` for any but the agent's connection, ``mismatch`` for a counter that was not
    issued; ``StoreError``.
    """
    await change(store, _CONFIRM, [keys.device(client)], number, counter)


def compatibility(card: VerifiedCard) -> bytes:
    """Return the packed row of what a device's card says it supports."""
    body = card.card
    return pack(CompatibilityRow(body.protocol.low, body.protocol.high, body.app, body.modes))


def words(reply: Sequence[Reply]) -> tuple[str, ...]:
    """Return the names in a reply."""
    return tuple(item.decode() for item in reply if isinstance(item, bytes))


def _connect_keys(client: ClientId) -> list[bytes]:
    return [
        keys.device(client),
        keys.instances(client),
        keys.peers(client),
        keys.session_index(client),
        keys.watchers(client),
        keys.outbox(keys.bucket(client)),
        keys.grants(client),
        keys.uses(client),
        keys.stated(client),
        keys.enrolled(keys.bucket(client)),
    ]


def _connected(reply: Reply, fingerprint: Fingerprint) -> Registered:
    match reply:
        case [
            int(number),
            int(issued),
            bytes(standing),
            int(serial),
            int(changes),
            list(superseded),
            list(sessions),
            list(watching),
            list(cuts),
            int(kept_card),
        ]:
            return Registered(
                number=number,
                issued=issued,
                standing=Reason(standing.decode()) if standing else None,
                newest_serial=serial,
                changes=changes,
                superseded=tuple(location(number, row) for number, row in instances(superseded)),
                sessions=words(sessions),
                watching=words(watching),
                cuts=_cuts(cuts, fingerprint),
                kept_card=kept_card,
            )
        case _:
            raise TypeError("unexpected reply of the script connect")


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
