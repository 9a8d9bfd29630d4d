"""Publishing and fetching durable statements (SPEC.md section 2.6)."""

from typing import Annotated

from msgspec import Meta, Struct

from muster_protocol.frames.envelope import MAX_PAGE, Count, Push, Reply, Request
from muster_protocol.ids import ClientId
from muster_protocol.labels import Kind
from muster_protocol.signed import Signed

PUBLISHED = frozenset({Kind.CARD, Kind.TRUST, Kind.UNTRUST, Kind.GRANT, Kind.REVOCATION})
"""The kinds that ``statement.put`` takes."""


class PutStatement(Request, frozen=True, kw_only=True, tag="statement.put"):
    """Publish a card, trust, untrust, grant or revocation of this device. Reply: ``ok``."""

    kind: Kind
    statement: Signed

    def __post_init__(self) -> None:
        """Raise ``ValueError``, which decoding turns into a refusal, for a kind that is not published so."""
        if self.kind not in PUBLISHED:
            raise ValueError("not a kind that a device publishes")


class ListStatements(Request, frozen=True, kw_only=True, tag="statement.list"):
    """Ask for this device's own statements, lowest serial first, but the first ``after``. Reply: ``statements``."""

    after: Count


class KindAndStatement(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A statement and what kind it is."""

    kind: Kind
    statement: Signed


class Statements(Reply, frozen=True, kw_only=True, tag="statements"):
    """A page. While ``more``, ask for what comes after all those that were read."""

    statements: Annotated[tuple[KindAndStatement, ...], Meta(max_length=MAX_PAGE)]
    more: bool


class GetCard(Request, frozen=True, kw_only=True, tag="card.get"):
    """Ask for the card of a device that trusts this one. Reply: ``card``, or ``not_mutually_trusted``."""

    client: ClientId


class CardReply(Reply, frozen=True, kw_only=True, tag="card"):
    """A device's card, as it signed it."""

    card: Signed


class StatementPush(Push, frozen=True, kw_only=True, tag="statement"):
    """A peer changed its card, its trust in this device, or its grant; the two trust each other.

    Or a command line of this device itself stated something about a peer.
    """

    client: ClientId
    kind: Kind
    statement: Signed


class ClearSuspicion(Request, frozen=True, kw_only=True, tag="suspicion.clear"):
    """The person decided: this device's data is the only copy in use. Reply: ``ok``.

    Taken from the agent, and from a command line that showed the current continuity token.
    """


class ConfirmToken(Request, frozen=True, kw_only=True, tag="token.confirm"):
    """The continuity token with this counter is on the device's disk. Reply: ``ok``."""

    counter: Count
