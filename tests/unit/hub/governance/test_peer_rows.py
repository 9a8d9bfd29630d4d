"""How statements about a peer stand in the store."""

from muster_hub.governance.peer_rows import ended_grant_row, grant_row, trust_row
from muster_hub.store.rows import GrantRow, PeerRow, pack, read
from muster_protocol.cards import Mode
from muster_protocol.codec import encode
from muster_protocol.governance import Grant, Revocation, Trust, Untrust
from muster_protocol.ids import ClientId, Fingerprint, GrantId, Hash, Serial, TimeMs
from muster_protocol.keys import SigningKey
from muster_protocol.signed import sign

KEY = SigningKey.from_secret(bytes(32))
ANN, BOB = ClientId("a" * 32), ClientId("b" * 32)
BOBS_KEY = Fingerprint(b"b" * 32)
HASH = Hash(b"h" * 32)


def test_trust_names_the_pinned_key_and_an_untrust_none() -> None:
    trust = Trust(client=ANN, serial=Serial(3), peer=BOB, peer_key=BOBS_KEY)
    row = trust_row(trust, HASH, sign(trust, KEY))
    assert (row.kind, row.serial, row.fingerprint) == ("trust", 3, BOBS_KEY)
    untrust = Untrust(client=ANN, serial=Serial(4), peer=BOB)
    ended = trust_row(untrust, HASH, sign(untrust, KEY))
    assert (ended.kind, ended.serial, ended.fingerprint) == ("untrust", 4, b"")
    assert read(pack(ended), PeerRow) == ended


def test_a_grant_and_its_revocation_have_one_id_and_the_revocation_permits_nothing() -> None:
    grant = Grant(
        client=ANN,
        serial=Serial(5),
        peer=BOB,
        peer_key=BOBS_KEY,
        grant=GrantId(b"g" * 16),
        mode=Mode.INVENTORY,
        profiles=("home",),
        uses=None,
        not_before=TimeMs(1),
        expires_at=TimeMs(2),
    )
    row = grant_row(grant, HASH, sign(grant, KEY))
    assert (row.kind, row.mode, row.profiles, row.uses, row.expires_at) == ("grant", Mode.INVENTORY, ("home",), 0, 2)
    revocation = Revocation(client=ANN, serial=Serial(6), peer=BOB, grant=grant.grant)
    revoked = grant_row(revocation, HASH, sign(revocation, KEY))
    assert (revoked.kind, revoked.grant_id, revoked.serial) == ("revocation", row.grant_id, 6)
    assert (revoked.peer_fp, revoked.mode, revoked.profiles, revoked.expires_at) == (b"", None, None, 0)
    assert read(pack(revoked), GrantRow) == revoked


def test_an_untrust_ends_a_grant_without_its_id_and_with_its_own_statement() -> None:
    untrust = Untrust(client=ANN, serial=Serial(7), peer=BOB)
    ended = ended_grant_row(untrust, HASH, sign(untrust, KEY))
    assert (ended.kind, ended.serial, ended.grant_id) == ("revocation", 7, b"")
    assert ended.signed == encode(sign(untrust, KEY))
    assert read(pack(ended), GrantRow) == ended
