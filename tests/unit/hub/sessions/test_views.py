"""What a session's members, and those who are out, are shown of it."""

from tests.unit.hub.sessions.states import ANN, BOB, CAT, member, session_of

from muster_hub.sessions.views import HeldForMember, shown_to
from muster_protocol.frames import MemberState
from muster_protocol.ids import Fingerprint, Signature
from muster_protocol.signed import Signed


def signed(body: bytes) -> Signed:
    return Signed(body, Fingerprint(bytes(32)), Signature(bytes(64)))


EPOCHS = tuple(signed(b"epoch %d" % number) for number in (3, 4, 5))
STATE = session_of(member(BOB), member(CAT, MemberState.OUT, last=4), epoch=5)
HELD = HeldForMember(STATE, EPOCHS, b"sealed", signed(b"admission"), {BOB: signed(b"b"), CAT: signed(b"c")}, {})


def test_a_member_is_shown_all_but_the_joined_of_those_who_are_out() -> None:
    reply = shown_to(BOB, HELD, 1)
    assert (reply.epoch, reply.epochs, reply.sealed, reply.admission) == (5, EPOCHS, b"sealed", HELD.admission)
    assert [row.client for row in reply.members] == [ANN, BOB, CAT]
    assert reply.joined == (HELD.joined[BOB],)
    assert reply.open


def test_a_former_member_is_shown_nothing_behind_its_end() -> None:
    reply = shown_to(CAT, HELD, 1)
    assert (reply.epoch, reply.epochs) == (4, EPOCHS)
    assert [row.client for row in reply.members] == [CAT]
    assert (reply.open, reply.sealed, reply.admission, reply.joined) == (False, None, None, ())
