"""statements.json: every kind of signed body, with what is signed and hashed (SPEC.md sections 2.2 to 2.6)."""

from msgspec.structs import replace

from muster_protocol.cards import Mode, sign_rotation
from muster_protocol.codec import encode
from muster_protocol.connect import Connect, Limits, RefusedBody, Welcome
from muster_protocol.continuity import hub_secret, issue
from muster_protocol.exchange import Admission, Joined, Leave
from muster_protocol.governance import MAX_GRANT_MS, Governance, Grant, Revocation, Trust, Untrust
from muster_protocol.hub_keys import HubRotation
from muster_protocol.ids import Hash, Serial, Signature, TimeMs
from muster_protocol.keys import PublicKey, SigningKey
from muster_protocol.labels import HASH, PREFIX, SIGN, Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Body, Signed, read, sign, statement_hash
from vectors.topics import story
from vectors.topics.cast import (
    DESK,
    HUB,
    HUB_NEXT,
    HUB_SECRET,
    LAPTOP,
    LAPTOP_KEYS,
    NAS,
    NOW,
    STRANGER,
    UNSAFE,
    card_body,
    grant_id,
    nonce,
    rotation,
    rotation_body,
    secret,
)
from vectors.topics.forms import Json, Vector, accepted, fields, public, refused, signed

LAPTOP_SECRET, NAS_SECRET = LAPTOP.secret, NAS.secret
TRUST = Trust(client=LAPTOP.client, serial=Serial(NOW), peer=NAS.client, peer_key=NAS.key.fingerprint)
UNTRUST = Untrust(client=LAPTOP.client, serial=Serial(NOW + 3), peer=NAS.client)
GRANT = Grant(
    client=NAS.client,
    serial=Serial(NOW + 1),
    peer=LAPTOP.client,
    peer_key=LAPTOP.key.fingerprint,
    grant=grant_id("all"),
    mode=Mode.SYNCHRONIZE,
    profiles=None,
    uses=None,
    not_before=NOW,
    expires_at=TimeMs(NOW + MAX_GRANT_MS),
)
REVOCATION = Revocation(client=NAS.client, serial=Serial(NOW + 2), peer=LAPTOP.client, grant=grant_id("all"))


def statements(told: story.Story) -> list[Vector]:
    """Return one statement or more of each kind, then the labels, and statements that are refused."""
    found = [_signing(name, body, key) for name, (body, key) in (_durable() | _of_hub() | _of_session(told)).items()]
    return [*found, _rotation(), *_labels(), *_not_verified(), *_governance()]


def _durable() -> dict[str, tuple[Body, bytes]]:
    once = replace(GRANT, profiles=("files", "photos"), uses=1, grant=grant_id("once"), mode=Mode.JOIN)
    return {
        "card": (card_body(LAPTOP.key, LAPTOP.key, ()), LAPTOP_SECRET),
        "card after a rotation": (card_body(LAPTOP.key, LAPTOP_KEYS[1], (rotation(1),)), secret(0x11)),
        "trust": (TRUST, LAPTOP_SECRET),
        "untrust": (UNTRUST, LAPTOP_SECRET),
        "grant": (GRANT, NAS_SECRET),
        "grant for one use and two profiles": (once, NAS_SECRET),
        "revocation": (REVOCATION, NAS_SECRET),
    }


def _of_hub() -> dict[str, tuple[Body, bytes]]:
    challenge, hello = Hash(nonce("a challenge's hash")), Hash(nonce("a hello's hash"))
    connect = Connect(
        client=LAPTOP.client, challenge=challenge, hello=hello, origin="wss://hub.example", hub_key=HUB.fingerprint
    )
    welcome = Welcome(
        challenge=challenge,
        hello=hello,
        connection=12,
        protocol=1,
        keep_alive_ms=20_000,
        limits=Limits(message_bytes=65_536, targets=15, members=16, watched=256, waiting=64),
        token=issue(hub_secret(HUB_SECRET), LAPTOP.client, 8),
        newest_serial=NOW,
        changes=NOW,
        standing=None,
        at=NOW,
    )
    later = RefusedBody(
        challenge=challenge,
        hello=hello,
        code=4003,
        reason=Reason.STORE_UNAVAILABLE,
        retry_after_ms=5000,
        at=NOW,
        origins=(),
    )
    return {
        "connect": (connect, LAPTOP_SECRET),
        "welcome": (welcome, HUB_SECRET),
        "welcome of a command line": (replace(welcome, token=None, standing=Reason.CLONE_SUSPECTED), HUB_SECRET),
        "refused, come back": (later, HUB_SECRET),
        "refused, stop": (replace(later, code=4501, reason=Reason.DEVICE_REVOKED, retry_after_ms=None), HUB_SECRET),
        "hub_rotation": (HubRotation(number=1, old_key=HUB.public, new_key=HUB_NEXT.public), HUB_SECRET),
    }


def _of_session(told: story.Story) -> dict[str, tuple[Body, bytes]]:
    invite = told.nas.invite_body
    answer = story.answer_body(invite, told.nas.invite_hash)
    return {
        "invite": (invite, LAPTOP_SECRET),
        "answer that accepts": (answer, NAS_SECRET),
        "answer that refuses": (replace(answer, receive_key=None, reason=Reason.DECLINED), NAS_SECRET),
        "epoch": (story.epoch_body(1, None, (story.MEMBERS[LAPTOP.client],)), LAPTOP_SECRET),
        "admission": (read(told.nas_admission, Admission), LAPTOP_SECRET),
        "joined": (read(told.nas_joined, Joined), NAS_SECRET),
        "leave": (read(told.nas_leave, Leave), NAS_SECRET),
    }


def _signing(name: str, body: Body, behind: bytes) -> Vector:
    statement = sign(body, SigningKey.from_secret(behind))
    given = {"op": "sign", "kind": body.KIND.value, "secret": behind.hex(), "fields": fields(statement.body)}
    return accepted(name, given, _made(body.KIND, statement))


def _made(kind: Kind, statement: Signed) -> Json:
    return {
        **signed(statement),
        "to_sign": (SIGN[kind] + statement.body).hex(),
        "hash": statement_hash(kind, statement.body).hex(),
    }


def _rotation() -> Vector:
    body = rotation_body(1)
    made = sign_rotation(body, LAPTOP_KEYS[0], LAPTOP_KEYS[1])
    given = {
        "op": "rotate",
        "old_secret": LAPTOP_SECRET.hex(),
        "new_secret": secret(0x11).hex(),
        "fields": fields(made.body),
    }
    expect = {
        "body": made.body.hex(),
        "old_signer": made.old_signer.hex(),
        "old_signature": made.old_signature.hex(),
        "new_signer": made.new_signer.hex(),
        "new_signature": made.new_signature.hex(),
        "to_sign": (SIGN[Kind.ROTATION] + made.body).hex(),
        "hash": statement_hash(Kind.ROTATION, made.body).hex(),
    }
    return accepted("rotation", given, expect)


def _labels() -> list[Vector]:
    return [
        accepted(
            f"the labels of {kind.value}",
            {"op": "labels", "kind": kind.value},
            {"sign": f"{PREFIX}{kind.value}\0".encode().hex(), "hash": f"{PREFIX}hash {kind.value}\0".encode().hex()},
        )
        for kind in Kind
    ]


def _verifying(kind: Kind, statement: Signed, key: PublicKey) -> Json:
    return {"op": "verify", "kind": kind.value, "statement": signed(statement), "key": public(key)}


def _not_verified() -> list[Vector]:
    good = sign(TRUST, LAPTOP.key)
    data = good.body
    turned_body = replace(good, body=data[:-1] + bytes([data[-1] ^ 1]))
    turned_signature = replace(good, signature=Signature(good.signature[:-1] + bytes([good.signature[-1] ^ 1])))
    unlabelled = replace(good, signature=LAPTOP.key.sign(data))
    hashed = replace(good, signature=LAPTOP.key.sign(HASH[Kind.TRUST] + data))
    posed = Signed(data, LAPTOP.key.fingerprint, STRANGER.key.sign(SIGN[Kind.TRUST] + data))
    no_body = replace(good, body=b"\xc1")
    long_form = b"\x95\xcc\x01" + data[2:]
    wide = Signed(long_form, LAPTOP.key.fingerprint, LAPTOP.key.sign(SIGN[Kind.TRUST] + long_form))
    bad = {
        "one bit of the body turned": (turned_body, LAPTOP.key, Reason.BAD_SIGNATURE, "signature"),
        "one bit of the signature turned": (turned_signature, LAPTOP.key, Reason.BAD_SIGNATURE, "signature"),
        "signed without a label": (unlabelled, LAPTOP.key, Reason.BAD_SIGNATURE, "signature"),
        "signed under the label of a hash": (hashed, LAPTOP.key, Reason.BAD_SIGNATURE, "signature"),
        "a stranger's signature in the laptop's name": (posed, LAPTOP.key, Reason.BAD_SIGNATURE, "signature"),
        "checked by another key": (good, NAS.key, Reason.MISMATCH, "signature"),
        "neither well-formed nor signed": (no_body, LAPTOP.key, Reason.BAD_SIGNATURE, "signature"),
        "well signed, but not in the shortest form": (wide, LAPTOP.key, Reason.MALFORMED, "encoding"),
    }
    found = [
        refused(name, _verifying(Kind.TRUST, statement, key.public), reason, layer)
        for name, (statement, key, reason, layer) in bad.items()
    ]
    other = _verifying(Kind.GRANT, good, LAPTOP.key.public)
    found.append(refused("a trust taken for a grant", other, Reason.BAD_SIGNATURE, "signature"))
    weak = replace(good, signer=UNSAFE.fingerprint)
    found.append(refused("checked by an unsafe key", _verifying(Kind.TRUST, weak, UNSAFE), Reason.MALFORMED, "key"))
    return [
        *found,
        accepted("the same, as it was signed", _verifying(Kind.TRUST, good, LAPTOP.key.public), {"verified": True}),
    ]


def _governance() -> list[Vector]:
    bad: dict[str, tuple[Governance, Reason]] = {
        "trust in oneself": (replace(TRUST, peer=LAPTOP.client), Reason.SELF_TARGET),
        "a grant to oneself": (replace(GRANT, peer=NAS.client), Reason.SELF_TARGET),
        "a grant that ends as it begins": (replace(GRANT, expires_at=NOW), Reason.MALFORMED),
        "a grant that ends before it begins": (replace(GRANT, expires_at=TimeMs(NOW - 1)), Reason.MALFORMED),
        "a grant of a year and a millisecond": (
            replace(GRANT, expires_at=TimeMs(NOW + MAX_GRANT_MS + 1)),
            Reason.MALFORMED,
        ),
        "profiles out of order": (replace(GRANT, profiles=("photos", "files")), Reason.MALFORMED),
        "a profile named twice": (replace(GRANT, profiles=("files", "files")), Reason.MALFORMED),
    }
    found = [refused(name, _checking(body), reason, "rule") for name, (body, reason) in bad.items()]
    fine: dict[str, Governance] = {
        "a trust that breaks no rule": replace(TRUST, peer=DESK.client, peer_key=DESK.key.fingerprint),
        "a grant of a year for all profiles": GRANT,
        "a grant of a millisecond for two profiles": replace(
            GRANT, expires_at=TimeMs(NOW + 1), profiles=("files", "photos")
        ),
    }
    return [*found, *(accepted(name, _checking(body), {"good": True}) for name, body in fine.items())]


def _checking(body: Governance) -> Json:
    return {"op": "rules", "kind": body.KIND.value, "body": encode(body).hex()}
