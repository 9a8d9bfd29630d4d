"""Audit records as rows."""

from muster_hub.audit.records import Outcome, RecordKind, record
from muster_hub.store.rows import RecordRow, read
from muster_protocol.ids import ClientId, Hash
from muster_protocol.reasons import Reason

ANN, BOB = ClientId("a" * 32), ClientId("b" * 32)


def test_what_does_not_apply_is_empty() -> None:
    row = read(record(RecordKind.CARD, actor=ANN), RecordRow)
    assert row == RecordRow("card", ANN, "", "", "done", "", b"")


def test_a_record_holds_each_cell_in_its_place() -> None:
    packed = record(
        RecordKind.MEMBER_OUT,
        actor=ANN,
        subject=BOB,
        session="s" * 32,
        outcome=Outcome.REFUSED,
        reason=Reason.DECLINED,
        statement=Hash(b"\xff" * 32),
    )
    assert read(packed, RecordRow) == RecordRow("member_out", ANN, BOB, "s" * 32, "refused", "declined", b"\xff" * 32)
