"""Who may change the members of a session, epoch by epoch."""

from hashlib import sha256
from typing import Any

import pytest

from muster_protocol.epochs import Cause, CauseKind, Epoch, EpochMember, KnownEpoch, check_follows, read_epoch
from muster_protocol.errors import Refused
from muster_protocol.ids import ClientId, Fingerprint, Hash, Seed, TimeMs, client_id, session_id
from muster_protocol.keys import SigningKey
from muster_protocol.reasons import Reason
from muster_protocol.signed import sign

NOW = TimeMs(1_000_000)


def _key(name: str) -> SigningKey:
    return SigningKey.from_secret(sha256(name.encode()).digest())


A, B, C = (_key(name) for name in "ABC")
NAMES = {key: client_id(key.public.alg, key.public.public) for key in (A, B, C)}
_A, _B, _C = (EpochMember(client, key.fingerprint) for key, client in NAMES.items())
_D = EpochMember(ClientId("d" * 32), Fingerprint(b"d" * 32))
_LEFT = Hash(b"left" * 8)


def _known(
    signer: SigningKey, number: int, previous: Hash | None, *members: EpochMember, causes: Any = ()
) -> KnownEpoch:
    body = Epoch(
        session=session_id(NAMES[A], Seed(bytes(16))),
        number=number,
        previous=previous,
        members=members,
        commitment=Hash(bytes(32)),
        causes=causes,
        at=NOW,
    )
    return read_epoch(sign(body, signer), signer.public)


@pytest.mark.parametrize(
    ("signer", "members", "causes", "reason"),
    [
        (A, (_A, _B), (), None),
        (A, (_A, _B, _C, _D), (), None),
        (A, (_A, EpochMember(NAMES[B], C.fingerprint), _C), (), None),
        (A, (_A, _C, _B), (), Reason.MISMATCH),
        (A, (_D, _A, _B, _C), (), Reason.MISMATCH),
        (B, (_A, _B, _C), (), None),
        (B, (_A, _B), (), Reason.NOT_A_MEMBER),
        (B, (_A, _B), (Cause(CauseKind.LEAVE, NAMES[C], _LEFT),), None),
        (B, (_A, _B), (Cause(CauseKind.LEAVE, NAMES[C], Hash(bytes(32))),), Reason.NOT_A_MEMBER),
        (B, (_A, _B), (Cause(CauseKind.LEAVE, NAMES[A], _LEFT),), Reason.NOT_A_MEMBER),
        (B, (_A, _B, _C, _D), (), Reason.NOT_A_MEMBER),
        (B, (_A, _B, EpochMember(NAMES[C], B.fingerprint)), (), Reason.NOT_A_MEMBER),
        (_key("stranger"), (_A, _B, _C), (), Reason.NOT_A_MEMBER),
    ],
)
def test_who_may_change_what(
    signer: SigningKey, members: tuple[EpochMember, ...], causes: tuple[Cause, ...], reason: Reason | None
) -> None:
    """The creator adds, takes out and changes keys; any other member takes out those that left by their own word."""
    known = _known(A, 1, None, _A, _B, _C)
    new = _known(signer, 2, known.hash, *members, causes=causes)
    arguments = (new, known, NAMES[A], frozenset({Cause(CauseKind.LEAVE, NAMES[C], _LEFT)}))
    if reason is None:
        check_follows(*arguments)
    else:
        with pytest.raises(Refused) as refused:
            check_follows(*arguments)
        assert refused.value.reason is reason
