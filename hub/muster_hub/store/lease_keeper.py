"""The task that renews this node's lease and reports nodes that lost theirs."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Protocol, TypeAlias

import structlog

from muster_hub.store.adapter import Reply, Store
from muster_hub.store.clock import boot_s
from muster_hub.store.errors import StoreError, StoreReplyError, StoreUnavailable
from muster_hub.store.keys import LEASES
from muster_hub.store.leases import LeaseRow, LeaseTable, NodeLost, Renewed, Tombstone
from muster_hub.store.scripts import script
from muster_hub.store.steps import attempt

_LEASE = script("lease")
_TOMBSTONE = script("tombstone")
INCARNATION_BYTES = 8
_ENDED = "tombstone"
_REPLACED = "replaced"

NewIncarnation: TypeAlias = Callable[[], str]
"""Returns the name of an incarnation, another one each time."""

_log = structlog.get_logger(__name__)


def random_incarnation() -> str:
    """Return the name of an incarnation that no node ever had."""
    return secrets.token_hex(INCARNATION_BYTES)


class LeaseHandler(Protocol):
    """What a node does when a lease changed."""

    def lease_changed(self, change: NodeLost | Renewed) -> None:
        """Take note of a node that was lost, or of an incarnation that this node begins.

        That is its first one, or a new one after it was away for so long that others ended it. It must then register
        its connections again.
        """


class NodeReplacedError(StoreError):
    """Raised when another process uses this node's name; this one has to end."""


class LeaseKeeper:
    """Renews one node's lease for as long as ``run`` runs."""

    __slots__ = ("_new_incarnation", "_store", "_unreachable", "table")

    def __init__(self, store: Store, node: str, new_incarnation: NewIncarnation = random_incarnation) -> None:
        self._store = store
        self._new_incarnation = new_incarnation
        self._unreachable = False
        self.table = LeaseTable(node, new_incarnation())

    @property
    def incarnation(self) -> str:
        """The incarnation under which this node registers its connections."""
        return self.table.incarnation

    def acting(self) -> bool:
        """Return whether this node may relay and decide at this moment; asked before every frame."""
        return self.table.acting(boot_s())

    def live(self, node: str, incarnation: str) -> bool:
        """Return whether an incarnation of a node counts as live."""
        return self.table.live(node, incarnation)

    async def run(self, handler: LeaseHandler) -> None:
        """Renew until cancelled; raises ``NodeReplacedError`` when another process took this node's name."""
        while True:
            due_s = boot_s()
            try:
                await self.renew(handler)
            except StoreUnavailable as error:
                self._note_unreachable(error)
            else:
                self._unreachable = False
            # A renewal that took its time does not move the next one.
            await asyncio.sleep(max(0.0, due_s + self.table.next_read_in_s() - boot_s()))

    async def renew(self, handler: LeaseHandler) -> None:
        """Renew once, end what stood still, report what changed; raises ``StoreUnavailable`` when the store is away."""
        if await self._renew(handler):
            await self._renew(handler)  # a lease that was just ended counts as lost now, not a second later

    async def leave(self) -> None:
        """End the own lease, so that others need not wait; raises ``StoreUnavailable`` when the store is away."""
        row = self.table.own_row()
        if row is not None:
            await self._end(Tombstone(self.table.node, row.incarnation, row.counter))

    async def _renew(self, handler: LeaseHandler) -> bool:
        """Renew once; return whether a lease was ended."""
        asked_s = boot_s()
        try:
            reply = await self._raise_counter()
        except StoreReplyError as refusal:
            if refusal.word == _REPLACED:
                raise NodeReplacedError(f"another process uses the node name {self.table.node}") from None
            if refusal.word != _ENDED:
                raise
            _log.warning("lease_tombstoned", node=self.table.node, incarnation=self.incarnation[:8])
            self.table.begin(self._new_incarnation())
            return True
        suspects = []
        for effect in self.table.renewed(_rows(reply), asked_s=asked_s, now_s=boot_s()):
            if isinstance(effect, Tombstone):
                suspects.append(effect)
            else:
                handler.lease_changed(effect)
        return any([await self._end_lost(suspect) for suspect in suspects])

    async def _raise_counter(self) -> Reply:
        table = self.table
        how = "begin" if table.beginning else "go on"
        return await attempt(self._store, _LEASE, [LEASES], table.node, table.incarnation, table.next_counter(), how)

    async def _end(self, lost: Tombstone) -> bool:
        return await attempt(self._store, _TOMBSTONE, [LEASES], lost.node, lost.incarnation, lost.counter) == 1

    async def _end_lost(self, lost: Tombstone) -> bool:
        ended = await self._end(lost)
        _log.warning("node_stood_still", node=lost.node, incarnation=lost.incarnation[:8], tombstoned=ended)
        return ended

    def _note_unreachable(self, error: StoreUnavailable) -> None:
        if not self._unreachable:
            _log.warning("lease_not_renewed", node=self.table.node, cause=error.cause)
        self._unreachable = True


def _rows(reply: Reply) -> dict[str, LeaseRow]:
    if not isinstance(reply, list):
        raise TypeError("not a table of leases")
    words = [word.decode() for word in reply if isinstance(word, bytes)]
    return {node: _row(text) for node, text in zip(words[::2], words[1::2], strict=True)}


def _row(text: str) -> LeaseRow:
    # A newer node may have appended words.
    incarnation, counter, tombstone_ms, *_ = text.split(" ")
    return LeaseRow(incarnation, int(counter), int(tombstone_ms))
