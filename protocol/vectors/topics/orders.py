"""exchange.json: messages with many faults at once, which show the order of the checks (SPEC.md section 7).

Each message has every fault from one place of the order on: the first of them gives the reason.
"""

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.epochs import Epoch, epoch_hash, in_order
from muster_protocol.exchange import Answer, Joined
from muster_protocol.ids import Hash, Signature, session_id
from muster_protocol.reasons import Reason
from muster_protocol.sealing import MLKEM_BYTES, SEALED_BYTES, PublicReceiveKey
from muster_protocol.signed import Body, Signed, read, sign
from vectors.topics import story
from vectors.topics.cast import DESK, LAPTOP, NAS, CastDevice, receive_key
from vectors.topics.exchange import admitting, answering, inviting, saying
from vectors.topics.forms import Json, Vector, refused

_Fault = tuple[str, Json, Reason, str]
"""What is wrong, by which fields of the body, and what it is refused for, at which layer."""

WEAK = PublicReceiveKey(receive_key("nas 1").public[:MLKEM_BYTES] + bytes(32))
ELSEWHERE = session_id(DESK.client, story.SEED)


def orders(told: story.Story) -> list[Vector]:
    """Return the order of the checks of each message."""
    return [*_invites(), *_answers(told), *_admissions(told), *_joined(told)]


def _faulty(body: Body, signer: CastDevice, faults: list[_Fault]) -> Iterator[tuple[str, Signed, Reason, str]]:
    """Yield the statement with all faults and without a good signature, then signed with ever fewer of the faults."""
    for place, (name, _, reason, layer) in enumerate(faults):
        changes: Json = {}
        for _, fields, _, _ in reversed(faults[place:]):
            changes |= fields
        statement = sign(replace(body, **changes), signer.key)
        if place == 0:
            unsigned = replace(statement, signature=Signature(bytes(64)))
            yield "signature", unsigned, Reason.BAD_SIGNATURE, "signature"
        yield name, statement, reason, layer


def _vectors(
    message: str, body: Body, signer: CastDevice, faults: list[_Fault], given: Callable[[Signed], Json]
) -> list[Vector]:
    return [
        refused(f"{message}: order: {name} before what is behind it", given(statement), reason, layer)
        for name, statement, reason, layer in _faulty(body, signer, faults)
    ]


def _invites() -> list[Vector]:
    body = story.invite_body()
    faults: list[_Fault] = [
        ("recipient", {"recipient": DESK.client}, Reason.WRONG_RECIPIENT, "rule"),
        ("recipient's key", {"recipient_key": DESK.key.fingerprint}, Reason.KEY_MISMATCH, "rule"),
        ("session", {"session": ELSEWHERE}, Reason.MISMATCH, "rule"),
        ("lifetime", {"expires_at": body.at}, Reason.MALFORMED, "rule"),
    ]
    return _vectors("invite", body, LAPTOP, faults, inviting)


def _answers(told: story.Story) -> list[Vector]:
    late = told.nas.invite_body.expires_at
    body = read(told.nas.answer, Answer)
    faults: list[_Fault] = [
        ("recipient", {"recipient": DESK.client}, Reason.WRONG_RECIPIENT, "rule"),
        ("mode", {"mode": Mode.JOIN}, Reason.MISMATCH, "rule"),
        ("yes and no", {"reason": Reason.DECLINED}, Reason.MALFORMED, "rule"),
        ("lifetime", {}, Reason.EXPIRED, "rule"),
    ]
    versions: list[_Fault] = [
        ("version", {"protocol": ProtocolRange(2, 2)}, Reason.INCOMPATIBLE_PROTOCOL, "rule"),
        ("receive key", {"receive_key": WEAK}, Reason.MALFORMED, "key"),
    ]
    wrong = replace(body, protocol=ProtocolRange(2, 2), receive_key=WEAK)
    in_time = _vectors("answer", body, NAS, versions, answering)[1:]
    return [*_vectors("answer", wrong, NAS, faults, lambda answer: answering(answer, late)), *in_time]


def _admissions(told: story.Story) -> list[Vector]:
    epoch = read(told.epochs[1], Epoch)
    laptop, nas, desk = (story.MEMBERS[device.client] for device in (LAPTOP, NAS, DESK))
    faults: list[_Fault] = [
        ("recipient", {"recipient": DESK.client}, Reason.WRONG_RECIPIENT, "rule"),
        ("mode", {"mode": Mode.JOIN}, Reason.MISMATCH, "rule"),
        ("answer", {"answer_hash": told.desk.answer_hash}, Reason.CANNOT_OPEN, "rule"),
        ("members named twice", _epoch(replace(epoch, members=(desk, nas, nas))), Reason.MALFORMED, "rule"),
        ("creator", _epoch(replace(epoch, members=in_order((nas, desk)))), Reason.MISMATCH, "rule"),
        ("pins", _epoch(replace(epoch, members=in_order((laptop, nas, desk)))), Reason.NOT_TRUSTED, "rule"),
    ]
    body = story.admission_body(told.nas, told.epochs[1], bytes(SEALED_BYTES))
    pins: dict[str, str] = {LAPTOP.client: LAPTOP.key.fingerprint.hex()}
    return _vectors("admission", body, LAPTOP, faults, lambda admission: admitting(told.nas, admission, pins))


def _epoch(body: Epoch) -> Json:
    return {"epoch": sign(body, LAPTOP.key)}


def _joined(told: story.Story) -> list[Vector]:
    body = read(told.nas_joined, Joined)
    faults: list[_Fault] = [
        ("receive key", {"receive_key": WEAK}, Reason.MALFORMED, "key"),
        ("member", {"member": DESK.client}, Reason.MISMATCH, "rule"),
        ("epoch", {"epoch": epoch_hash(told.epochs[0])}, Reason.REPLAYED, "rule"),
        ("admission", {"admission": Hash(bytes(32))}, Reason.MISMATCH, "rule"),
    ]
    return _vectors("joined", body, NAS, faults, lambda joined: saying(told, joined))
