"""The presence record of a device: what the store holds of its connections, read for one device that asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from muster_hub.store import keys
from muster_hub.store.adapter import Reply, Store, Word
from muster_hub.store.rows import InstanceRow, Location, PeerRow, instance_row, location, read
from muster_hub.store.scripts import script, variant
from muster_hub.store.steps import change
from muster_protocol.connect import Role
from muster_protocol.frames import DropCause
from muster_protocol.ids import ClientId, Fingerprint, TimeMs

Instances: TypeAlias = tuple[tuple[int, InstanceRow], ...]
"""A device's connections, each with its number."""

_LOOK = script("look")
_ONLY_LOOK = variant("look")
"""The same for a read without a watch: it writes nothing, and so runs also when the store's memory is full."""


@dataclass(frozen=True, slots=True)
class PresenceRecord:
    """A device as the store has it: its newest statement about the asker, its connections, and its last disconnect."""

    about_asker: PeerRow | None
    last_seen: TimeMs | None
    cause: DropCause | None
    instances: Instances
    back_by_ms: int = 0
    """Until when the device is expected back after a planned stop of its node, by the store's clock; 0 if it is not."""

    def trusts(self, fingerprint: Fingerprint) -> bool:
        """Return whether the device trusts the asker under this key."""
        about = self.about_asker
        return about is not None and about.kind == "trust" and about.fingerprint == fingerprint


class AgentLocations:
    """The locations of agents, looked up in the store for the router."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find_agent(self, client: ClientId) -> Location | None:
        """Return the location of a device's agent, or None. Raises ``StoreError``."""
        found = await read_presence(self._store, client, client, Fingerprint(b""))
        agents = [location(number, row) for number, row in found.instances if row.role is Role.AGENT]
        return agents[0] if agents else None


async def read_presence(
    store: Store,
    client: ClientId,
    asker: ClientId,
    fingerprint: Fingerprint,
    *,
    watching_node: str = "",
    watch_ms: int = 0,
) -> PresenceRecord:
    """Read a device's presence record for an asker. Raises ``StoreError``.

    ``watching_node``, if given, is notified of changes for ``watch_ms``.
    """
    where = [keys.device(client), keys.instances(client), keys.peers(client), keys.watchers(client)]
    args: list[Word] = [asker, fingerprint, watching_node, watch_ms]
    match await change(store, _LOOK if watching_node else _ONLY_LOOK, where, *args):
        case [bytes(about), bytes(last_seen), bytes(cause), list(rows), bytes(back_by)]:
            return PresenceRecord(
                about_asker=read(about, PeerRow) if about else None,
                last_seen=TimeMs(int(last_seen)) or None,
                cause=DropCause(cause.decode()) if cause else None,
                instances=instances(rows),
                back_by_ms=int(back_by),
            )
        case reply:
            raise TypeError(f"look returned {type(reply).__name__}")


def instances(rows: Sequence[Reply]) -> Instances:
    """Return the connections in a reply that lists each number and its row in turn."""
    flat = [item for item in rows if isinstance(item, bytes)]
    return tuple((int(number), instance_row(row)) for number, row in zip(flat[::2], flat[1::2], strict=True))
