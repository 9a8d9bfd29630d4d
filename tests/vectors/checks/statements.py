"""encoding.json, statements.json, cards.json, frames.json: bytes, their fields, and who signed them."""

from typing import Any

import msgpack
from tests.vectors.checks.forms import Json, json_form, public_key, shown, signed, value

from muster_protocol.cards import Card, Rotation, sign_rotation, verify_card
from muster_protocol.codec import convert, decode_closed, encode, unpack
from muster_protocol.connect import Connect, RefusedBody, Welcome
from muster_protocol.epochs import Epoch
from muster_protocol.errors import Refused
from muster_protocol.exchange import Admission, Answer, Invite, Joined, Leave
from muster_protocol.frames import FrameRefused, decode_frame, encode_frame
from muster_protocol.governance import GOVERNANCE, Grant, Revocation, Trust, Untrust, check_governance
from muster_protocol.hub_keys import HubRotation
from muster_protocol.keys import SigningKey
from muster_protocol.labels import HASH, SIGN, Kind
from muster_protocol.signed import Body, sign, statement_hash, verify

_DURABLE: tuple[type[Body], ...] = (Card, Rotation, Trust, Untrust, Grant, Revocation)
_OF_HUB: tuple[type[Body], ...] = (Connect, Welcome, RefusedBody, HubRotation)
_OF_SESSION: tuple[type[Body], ...] = (Invite, Answer, Admission, Joined, Epoch, Leave)
BODIES: dict[str, type[Body]] = {body.KIND.value: body for body in (*_DURABLE, *_OF_HUB, *_OF_SESSION)}


def check_encoding(given: Json) -> Json:
    if given["op"] == "value":
        unpack(_bytes(given["bytes"]))
        return {"decoded": True}
    body = _bytes(given["body"])
    again = encode(decode_closed(body, BODIES[given["kind"]]))
    return {"fields": json_form(msgpack.unpackb(again)), "same_bytes": again == body}


def _bytes(form: Any) -> bytes:
    if isinstance(form, str):
        return bytes.fromhex(form)
    first, repeat, then = (bytes.fromhex(form[name]) for name in ("first", "repeat", "then"))
    times: int = form["times"]
    return first + repeat * times + then


def check_statements(given: Json) -> Json:
    return _OPERATIONS[given["op"]](given)


def _sign(given: Json) -> Json:
    body = convert(value(given["fields"]), BODIES[given["kind"]])
    statement = sign(body, SigningKey.from_secret(bytes.fromhex(given["secret"])))
    made = {
        "to_sign": (SIGN[body.KIND] + statement.body).hex(),
        "hash": statement_hash(body.KIND, statement.body).hex(),
    }
    return shown(statement) | made


def _rotate(given: Json) -> Json:
    keys = [SigningKey.from_secret(bytes.fromhex(given[name])) for name in ("old_secret", "new_secret")]
    made = sign_rotation(convert(value(given["fields"]), Rotation), *keys)
    parts = {name: getattr(made, name).hex() for name in made.__struct_fields__}
    return parts | {
        "to_sign": (SIGN[Kind.ROTATION] + made.body).hex(),
        "hash": statement_hash(Kind.ROTATION, made.body).hex(),
    }


def _labels(given: Json) -> Json:
    kind = Kind(given["kind"])
    return {"sign": SIGN[kind].hex(), "hash": HASH[kind].hex()}


def _verify(given: Json) -> Json:
    verify(signed(given["statement"]), public_key(given["key"]), BODIES[given["kind"]])
    return {"verified": True}


def _rules(given: Json) -> Json:
    check_governance(decode_closed(bytes.fromhex(given["body"]), GOVERNANCE[Kind(given["kind"])]))
    return {"good": True}


_OPERATIONS = {"sign": _sign, "rotate": _rotate, "labels": _labels, "verify": _verify, "rules": _rules}


def check_cards(given: Json) -> Json:
    found = verify_card(signed(given["card"]))
    return {
        "client": found.card.client,
        "fingerprints": [fingerprint.hex() for fingerprint in found.fingerprints],
        "serial": found.card.serial,
    }


def check_frames(given: Json) -> Json:
    message = bytes.fromhex(given["message"])
    if given.get("op") == "answered":
        return {"re": _number(message)}
    again = encode_frame(decode_frame(message))
    return {"fields": json_form(msgpack.unpackb(again)), "same_bytes": again == message}


def _number(message: bytes) -> int:
    try:
        decode_frame(message)
    except FrameRefused as refused:
        return refused.number("id")
    except Refused:
        return 0
    raise AssertionError("the message can be read")
