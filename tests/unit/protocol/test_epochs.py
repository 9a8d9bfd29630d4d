"""Which epoch may follow another: the creator's, with a higher number, bound to the one before by its hash."""

from hashlib import sha256

import pytest

from muster_protocol.epochs import Epoch, EpochMember, KnownEpoch, check_follows, in_order, read_epoch
from muster_protocol.errors import Refused
from muster_protocol.ids import ClientId, Fingerprint, Hash, Seed, SessionId, TimeMs, client_id, session_id
from muster_protocol.keys import SigningKey
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, sign

NOW = TimeMs(1_000_000)


def _key(name: str) -> SigningKey:
    return SigningKey.from_secret(sha256(name.encode()).digest())


A, B, C = (_key(name) for name in "ABC")
NAMES = {key: client_id(key.public.alg, key.public.public) for key in (A, B, C)}
_A, _B, _C = (EpochMember(client, key.fingerprint) for key, client in NAMES.items())
_D = EpochMember(ClientId("d" * 32), Fingerprint(b"d" * 32))


SESSION, OTHER_SESSION = (session_id(NAMES[A], Seed(bytes([number]) * 16)) for number in (0, 1))


def _epoch(
    signer: SigningKey,
    number: int,
    previous: Hash | None,
    *members: EpochMember,
    at: TimeMs = NOW,
    session: SessionId = SESSION,
) -> Signed:
    body = Epoch(
        session=session,
        number=number,
        previous=previous,
        members=members,
        commitment=Hash(bytes(32)),
        at=at,
    )
    return sign(body, signer)


def _known() -> KnownEpoch:
    return read_epoch(_epoch(A, 2, Hash(bytes(32)), *in_order((_A, _B, _C))), A.public)


def _follow(new: Signed, known: KnownEpoch) -> Reason | None:
    try:
        check_follows(read_epoch(new, A.public), known)
    except Refused as refused:
        return refused.reason
    return None


@pytest.mark.parametrize(
    "members",
    [(_A,), (_A, _B), (_A, _B, _C, _D), (_A, EpochMember(NAMES[B], C.fingerprint), _C), (_A, _D)],
    ids=["one", "fewer", "more", "another key", "others"],
)
def test_the_creator_changes_the_members_as_it_likes(members: tuple[EpochMember, ...]) -> None:
    known = _known()
    assert _follow(_epoch(A, 3, known.hash, *in_order(members)), known) is None


@pytest.mark.parametrize("signer", [B, _key("stranger")], ids=["a member", "a stranger"])
def test_no_other_device_makes_an_epoch(signer: SigningKey) -> None:
    known = _known()
    assert _follow(_epoch(signer, 3, known.hash, *known.epoch.members), known) is Reason.MISMATCH
    fork = _epoch(signer, 2, known.epoch.previous, *known.epoch.members, at=TimeMs(NOW + 1))
    assert _follow(fork, known) is Reason.MISMATCH


def test_an_epoch_follows_one_before_it_only() -> None:
    known = _known()
    same = known.epoch.members
    assert _follow(known.signed, known) is Reason.REPLAYED
    assert _follow(_epoch(A, 1, None, _A), known) is Reason.REPLAYED
    assert _follow(_epoch(A, 2, known.epoch.previous, *same, at=TimeMs(NOW + 1)), known) is Reason.EPOCH_FORKED
    assert _follow(_epoch(A, 3, Hash(bytes([1]) * 32), *same), known) is Reason.MISMATCH
    assert _follow(_epoch(A, 3, known.epoch.previous, *same), known) is None, "in its place"
    assert _follow(_epoch(A, 9, known.hash, *same), known) is None


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_epoch_of_another_session_is_neither_a_fork_nor_a_replay(number: int) -> None:
    """The hub may push the creator's epoch of one session as that of another: people must see no fork."""
    known = _known()
    previous = None if number == 1 else known.epoch.previous
    assert _follow(_epoch(A, number, previous, *known.epoch.members, session=OTHER_SESSION), known) is Reason.MISMATCH


def test_members_stand_in_one_order_each_once() -> None:
    one, two = in_order((_A, _B))
    for members in ((two, one), (one, one), (one, two, two)):
        with pytest.raises(Refused) as refused:
            read_epoch(_epoch(A, 3, Hash(bytes(32)), *members), A.public)
        assert refused.value.reason is Reason.MALFORMED
