"""exchange.json, sealed.json, epochs.json: the machines of both sides, fed with what the vectors hold."""

import dataclasses

from msgspec.structs import replace
from tests.own_store import StoredData
from tests.vectors.checks.forms import Json, pins, public_key, shown, signed, versions

from muster_protocol.calls import PendingAdmission, Plan, TargetState
from muster_protocol.epochs import Epoch, check_follows, check_pins, read_epoch
from muster_protocol.exchange import Admission, Invite, admission_info, epoch_info, hash_of
from muster_protocol.export import export_key
from muster_protocol.frames import SessionKind
from muster_protocol.ids import ClientId, Fingerprint, Hash, Seed, SessionId, TimeMs
from muster_protocol.inviting import Inviting
from muster_protocol.joining import Joining, read_invite
from muster_protocol.keys import SigningKey
from muster_protocol.labels import Kind
from muster_protocol.sealing import EpochKey, PublicReceiveKey, ReceiveKey, commitment, parse_receive_key
from muster_protocol.signed import read


def _hash(text: str) -> Hash:
    return Hash(bytes.fromhex(text))


def check_exchange(given: Json) -> Json:
    return _OPERATIONS[given["op"]](given)


def _invite(given: Json) -> Json:
    my_key = Fingerprint(bytes.fromhex(given["my_key"]))
    invite = read_invite(
        signed(given["invite"]), public_key(given["creator_key"]), ClientId(given["me"]), my_key
    ).invite
    return {
        "session": invite.session,
        "sender": invite.sender,
        "purpose": invite.purpose.value,
        "kind": invite.kind.value,
        "expires_at": invite.expires_at,
    }


def _creator(given: Json) -> Inviting:
    """Let a creator send the vector's very invite."""
    statement = signed(given["invite"])
    body = read(statement, Invite)
    seed = Seed(bytes.fromhex(given["seed"]))
    plan = Plan(body.sender, seed, body.mode, body.profile, body.kind, body.protocol)
    own = StoredData(body.sender, body.sender_key).agree({body.recipient: body.recipient_key})
    creator = Inviting(SigningKey.from_secret(bytes.fromhex(given["creator_secret"])), plan, own)
    made = creator.invite(
        body.recipient,
        public_key(given["target_key"]),
        invite=body.invite,
        purpose=body.purpose,
        expires_at=body.expires_at,
        now=body.at,
    )
    assert made == statement
    return creator


def _answer(given: Json) -> Json:
    creator = _creator(given)
    sender = ClientId(given["sender"])
    target = creator.on_answer(signed(given["answer"]), sender, TimeMs(given["now"]))
    live = creator._calls.live.get(sender)
    key = None if live is None else live.receive_key
    return {
        "state": target.state.value,
        "reason": None if target.reason is None else target.reason.value,
        "receive_key": None if key is None else key.hex(),
    }


def _joined(given: Json) -> Json:
    creator = _creator(given)
    first = signed(given["epochs"][0])
    keys = [EpochKey(bytes.fromhex(key)) for key in given["epoch_keys"]]
    assert creator.begin(keys[0], read(first, Epoch).at) == first
    creator.committed(read(first, Epoch).at)
    creator.on_answer(signed(given["answer"]), ClientId(given["sender"]), TimeMs(given["now"]))
    _admit(creator, given, keys[1])
    said_by = ClientId(given["joined_by"])
    states = [creator.on_joined(signed(given["joined"]), said_by) for _ in range(given["times"])]
    assert states[0] is not None
    return {"state": states[0].state.value}


def _admit(creator: Inviting, given: Json, key: EpochKey) -> None:
    """Let the creator admit: in the vector's bytes, since what it seals itself is new each time."""
    admission = signed(given["admission"])
    body = read(admission, Admission)
    made = creator.admit(key, body.at)
    assert made is not None
    assert made.epoch == body.epoch
    assert [read(statement, Admission) for _, statement in made.admissions] == [
        replace(body, sealed=read(statement, Admission).sealed) for _, statement in made.admissions
    ]
    pending = creator._pending
    assert pending is not None
    shown = PendingAdmission(hash_of(Kind.ADMISSION, admission), body.answer_hash)
    creator._pending = dataclasses.replace(pending, admissions={body.recipient: shown})
    creator.committed(body.at)
    assert creator.targets[body.recipient].state is TargetState.ADMITTED


def _member(given: Json) -> tuple[Joining, StoredData]:
    """Let a device answer yes; it trusts and grants the invite's sender everything."""
    key = SigningKey.from_secret(bytes.fromhex(given["target_secret"]))
    statement = signed(given["invite"])
    me = read(statement, Invite).recipient
    received = read_invite(statement, public_key(given["creator_key"]), me, key.fingerprint)
    invite = received.invite
    own = StoredData(me, key.fingerprint).agree({invite.sender: invite.sender_key})
    member = Joining(key, received, versions(given["protocol"]), own)
    member.accept(ReceiveKey.from_seed(bytes.fromhex(given["receive_seed"])), TimeMs(given["answer_at"]))
    return member, own


def _admission(given: Json) -> Json:
    member, own = _member(given)
    answer = member.answer
    assert answer is not None
    own.pins = pins(given["pins"])
    known = member.on_admission(signed(given["admission"]), TimeMs(given["answer_at"]))
    return {
        "answer": shown(answer),
        "epoch_hash": known.hash.hex(),
        "epoch_key": member.epoch_key.hex(),
        "version": member.version,
    }


def _epoch(given: Json) -> Json:
    admitted = given["admitted"]
    member, own = _member(admitted)
    own.pins = pins(admitted["pins"])
    member.on_admission(signed(admitted["admission"]), TimeMs(admitted["answer_at"]))
    next_key = ReceiveKey.from_seed(bytes.fromhex(given["next_receive_seed"]))
    member.joined_statement(next_key, TimeMs(given["joined_at"]))
    own.pins = pins(given["pins"])
    known = member.on_epoch(signed(given["epoch"]), bytes.fromhex(given["sealed"]))
    fresh = ReceiveKey.from_seed(bytes.fromhex(given["fresh_receive_seed"]))
    joined = member.joined_statement(fresh, TimeMs(given["joined_at"]))
    return {"epoch_hash": known.hash.hex(), "epoch_key": member.epoch_key.hex(), "joined": shown(joined)}


_OPERATIONS = {"invite": _invite, "answer": _answer, "admission": _admission, "epoch": _epoch, "joined": _joined}


def check_sealed(given: Json) -> Json:
    match given["op"]:
        case "open":
            key = ReceiveKey.from_seed(bytes.fromhex(given["seed"]))
            return {"key": key.open(bytes.fromhex(given["sealed"]), bytes.fromhex(given["info"])).hex()}
        case "derive":
            return {"public": ReceiveKey.from_seed(bytes.fromhex(given["seed"])).public.hex()}
        case "seal_to":
            parse_receive_key(PublicReceiveKey(bytes.fromhex(given["public"])))
            return {"good": True}
        case "admission_info":
            return {
                "info": admission_info(*(_hash(given[f"{name}_hash"]) for name in ("invite", "answer", "epoch"))).hex()
            }
        case "epoch_info":
            return {"info": epoch_info(_hash(given["epoch_hash"]), ClientId(given["member"])).hex()}
        case "commitment":
            key_bytes = EpochKey(bytes.fromhex(given["key"]))
            return {"commitment": commitment(SessionId(given["session"]), given["number"], key_bytes).hex()}
    raise KeyError(given["op"])


def check_export(given: Json) -> Json:
    key = EpochKey(bytes.fromhex(given["epoch_key"]))
    return {"key": export_key(key, _hash(given["epoch_hash"]), given["label"], given["length"]).hex()}


def check_epochs(given: Json) -> Json:
    match given["op"]:
        case "read":
            return {"hash": read_epoch(signed(given["epoch"]), public_key(given["key"])).hash.hex()}
        case "follows":
            known = read_epoch(signed(given["known"]), public_key(given["creator_key"]))
            new = read_epoch(signed(given["new"]), public_key(given["creator_key"]))
            check_follows(new, known)
            return {"hash": new.hash.hex(), "number": new.epoch.number}
        case "pins":
            epoch = read(signed(given["epoch"]), Epoch)
            sides = (ClientId(given["creator"]), ClientId(given["me"]))
            check_pins(epoch, SessionKind(given["kind"]), *sides, pins(given["pins"]))
            return {"good": True}
    raise KeyError(given["op"])
