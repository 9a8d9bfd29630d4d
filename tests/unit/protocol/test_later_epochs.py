"""A member takes only an epoch that follows the one that it knows."""

from typing import Any

import msgspec
import pytest
from tests.unit.protocol.test_memberships import _A, _B, NAMES, NOW, A, B, C, CreatorSession, _epoch_key, _reason, table

from muster_protocol.epochs import Epoch, EpochMember, epoch_hash, in_order
from muster_protocol.exchange import epoch_info
from muster_protocol.ids import Hash, Seed, session_id
from muster_protocol.joining import Joining
from muster_protocol.reasons import Reason
from muster_protocol.sealing import EpochKey, commitment, seal
from muster_protocol.signed import Signed, sign

__all__ = ["table"]


def _next(machine: Joining, key: EpochKey, **changes: Any) -> tuple[Signed, bytes]:
    known = machine.epoch
    body = Epoch(
        session=known.epoch.session,
        number=known.epoch.number + 1,
        previous=known.hash,
        members=known.epoch.members,
        commitment=commitment(known.epoch.session, known.epoch.number + 1, key),
        at=NOW,
    )
    signed = sign(msgspec.structs.replace(body, **changes), A)
    sealed = seal(key, machine._receive_keys[-1].public, epoch_info(epoch_hash(signed), NAMES[B]))
    return signed, sealed


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"number": 2}, Reason.EPOCH_FORKED),
        ({"number": 1, "previous": None}, Reason.REPLAYED),
        ({"previous": Hash(bytes(32))}, Reason.MISMATCH),
        ({"session": session_id(NAMES[C], Seed(bytes(16)))}, Reason.MISMATCH),
        ({"members": in_order((_A, _B))[::-1]}, Reason.MALFORMED),
        ({"members": in_order((_A, _B, _B))}, Reason.MALFORMED),
        ({"members": (_B,)}, Reason.MISMATCH),
        ({"members": (_A,)}, Reason.MISMATCH),
        ({"members": in_order((_A, _B, EpochMember(NAMES[C], B.fingerprint)))}, Reason.KEY_MISMATCH),
        ({"commitment": Hash(bytes(32))}, Reason.MISMATCH),
    ],
)
def test_an_epoch_follows_the_one_before(table: CreatorSession, changes: dict[str, Any], reason: Reason) -> None:
    machine, _ = table.joined(B)
    before = machine.epoch
    assert _reason(machine.on_epoch, *_next(machine, _epoch_key(99), **changes)) is reason
    assert machine.epoch == before
    good = _next(machine, _epoch_key(99))
    machine.on_epoch(*good)
    assert machine.epoch_key == _epoch_key(99)
    assert _reason(machine.on_epoch, *good) is Reason.REPLAYED
