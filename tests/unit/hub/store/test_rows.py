"""Rows of the store, also such as a newer node writes."""

import msgpack
import pytest

from muster_hub.store import rows
from muster_hub.store.rows import MemberRow, PeerRow, PushRow, Row
from muster_protocol.frames import MemberState
from muster_protocol.ids import Fingerprint, Hash, Serial, TimeMs

MEMBER = MemberRow(MemberState.SEATED, Fingerprint(bytes(32)), TimeMs(7), "", bytes(16), b"", 0, TimeMs(0))
PEER = PeerRow("trust", Serial(3), Hash(bytes(32)), bytes(32), b"signed")
PUSH = PushRow(1, TimeMs(2), b"frame", "sender")


@pytest.mark.parametrize("row", [MEMBER, PEER, PUSH])
def test_cells_that_a_newer_node_appended_are_ignored(row: Row) -> None:
    packed = rows.pack(row)
    assert rows.read(packed, type(row)) == row
    cells = [*msgpack.unpackb(packed, raw=True), b"new", 5, [b"more"]]
    assert rows.read(msgpack.packb(cells, use_bin_type=False), type(row)) == row


def test_a_row_that_lacks_a_cell_is_none() -> None:
    cells = msgpack.unpackb(rows.pack(MEMBER), raw=True)[:-1]
    with pytest.raises(ValueError, match="array"):
        rows.read(msgpack.packb(cells, use_bin_type=False), MemberRow)
