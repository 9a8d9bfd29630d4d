"""What one device said about a peer, and the merge of it that hub and devices both keep."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from hypothesis import strategies as st

from muster_protocol.ids import Hash, Serial
from muster_protocol.labels import Kind
from muster_protocol.serials import Version, wins

LATEST = 12
"""Few serials, so that they often meet."""


@dataclass(frozen=True, slots=True)
class DurableStatement:
    """One durable statement: its kind, and its place among those about the same thing."""

    kind: Kind
    version: Version
    one_use: bool = False


State = dict[str, DurableStatement]


def said(kind: Kind, serial: int, twin: int = 0, *, one_use: bool = False) -> DurableStatement:
    """Make a statement; ``twin`` distinguishes two with one serial, which only a faulty signer makes."""
    digest = sha256(f"{kind}{serial}{twin}{one_use}".encode()).digest()
    return DurableStatement(kind, Version(Serial(serial), Hash(digest)), one_use)


statements = st.builds(
    said,
    st.sampled_from([Kind.TRUST, Kind.UNTRUST, Kind.GRANT, Kind.REVOCATION]),
    st.integers(1, LATEST),
    st.integers(0, 1),
    one_use=st.booleans(),
)


def merged(statements: Iterable[DurableStatement]) -> State:
    """Keep of each thing the newest that was said; an untrust speaks of the trust and of the grant."""
    state: State = {}
    for statement in statements:
        for thing in _things(statement.kind):
            held = state.get(thing)
            if wins(None if held is None else held.version, statement.version):
                state[thing] = statement
    return state


def _things(kind: Kind) -> tuple[str, ...]:
    match kind:
        case Kind.TRUST:
            return ("trust",)
        case Kind.UNTRUST:
            return ("trust", "grant")
        case _:
            return ("grant",)
