"""A session as the store returns it."""

from tests.unit.hub.sessions.states import ANN, BOB, CAT, DAN, SESSION, key_of, member, session_of

from muster_hub.sessions.state import parse_state
from muster_hub.store.rows import MemberRow, pack
from muster_protocol.frames import MemberState, SessionKind
from muster_protocol.ids import ClientId, Fingerprint, TimeMs
from muster_protocol.reasons import Reason

ENDS_AT = 5_000


def fields(*, creator: ClientId = ANN, is_open: bytes = b"1", profile: bytes = b"") -> list[bytes]:
    return [creator.encode(), bytes(16), b"join", profile, b"mesh", is_open, b"1000", b"%d" % ENDS_AT, b"3", bytes(32)]


def row(client: ClientId, state: MemberState, reason: str = "") -> list[bytes]:
    invite = b"" if client == DAN else bytes(16)
    packed = MemberRow(state, Fingerprint(key_of(client)), TimeMs(1), reason, invite, b"", 0, TimeMs(0))
    return [client.encode(), pack(packed)]


def test_a_session_is_over_at_its_very_end() -> None:
    assert parse_state(SESSION, fields(), [], ENDS_AT - 1).open
    assert not parse_state(SESSION, fields(), [], ENDS_AT).open
    assert not parse_state(SESSION, fields(is_open=b"0"), [], 0).open


def test_an_empty_profile_is_none() -> None:
    assert parse_state(SESSION, fields(), [], 0).profile is None
    assert parse_state(SESSION, fields(profile=b"home"), [], 0).profile == "home"


def test_the_creator_comes_first_and_the_others_by_their_names() -> None:
    roster = [
        *row(BOB, MemberState.JOINED),
        *row(CAT, MemberState.OUT, "not_trusted"),
        *row(DAN, MemberState.JOINED),
        *row(ANN, MemberState.SEATED),
    ]
    state = parse_state(SESSION, fields(creator=DAN), roster, 0)
    assert list(state.members) == [DAN, ANN, BOB, CAT]
    assert state.present == (DAN, ANN, BOB), "those who are out are no members"
    assert state.members[CAT].reason is Reason("not_trusted")


def test_in_a_mesh_a_newcomer_must_trust_all_and_in_a_star_the_creator_alone() -> None:
    rows = (member(BOB), member(CAT))
    assert session_of(*rows).must_trust(DAN, (ANN, BOB, CAT, DAN)) == (BOB, CAT)
    assert session_of(*rows, kind=SessionKind.STAR).must_trust(DAN, (ANN, BOB, CAT, DAN)) == ()
