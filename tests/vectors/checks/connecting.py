"""connect.json: both sides of the handshake, back to back or alone."""

from tests.vectors.checks.forms import Json, signed, versions

from muster_protocol.codec import encode
from muster_protocol.connect import (
    DeviceHandshake,
    Dialled,
    HubHandshake,
    Limits,
    RefusedBody,
    Role,
    Welcome,
    challenge_hash,
    hello_hash,
)
from muster_protocol.continuity import Proof, Token
from muster_protocol.frames import Challenge, decode_frame
from muster_protocol.ids import ClientId, EnrolmentCode, Fingerprint, InstanceId, Nonce, TimeMs
from muster_protocol.keys import SigningKey
from muster_protocol.reasons import Reason


def _device(form: Json) -> DeviceHandshake:
    pinned, code = form["pinned_hub"], form["enrolment"]
    return DeviceHandshake(
        Dialled(
            key=SigningKey.from_secret(bytes.fromhex(form["secret"])),
            card=signed(form["card"]),
            client=ClientId(form["client"]),
            instance=InstanceId(bytes.fromhex(form["instance"])),
            role=Role(form["role"]),
            protocol=versions(form["protocol"]),
            origin=form["origin"],
            pinned_hub=None if pinned is None else Fingerprint(bytes.fromhex(pinned)),
            enrolment=None if code is None else EnrolmentCode(bytes.fromhex(code)),
        )
    )


def _hub(given: Json) -> HubHandshake:
    challenge = decode_frame(bytes.fromhex(given["challenge"]))
    if not isinstance(challenge, Challenge):
        raise TypeError("the vector holds no challenge")
    key = SigningKey.from_secret(bytes.fromhex(given["hub_secret"]))
    return HubHandshake(key, challenge, frozenset(given["origins"]))


def _greet(given: Json, device: DeviceHandshake) -> bytes:
    device.on_challenge(bytes.fromhex(given["challenge"]))
    proof = given["proof"]
    shown = None if proof is None else Proof(proof["counter"], bytes.fromhex(proof["mac"]))
    return device.hello(Nonce(bytes.fromhex(given["hello_nonce"])), shown)


def check_connect(given: Json) -> Json:
    match given["op"]:
        case "transcript":
            return _transcript(given)
        case "on_challenge":
            _device(given["device"]).on_challenge(bytes.fromhex(given["challenge"]))
        case "on_hello":
            _hub(given).on_hello(bytes.fromhex(given["hello"]))
        case "on_reply":
            device = _device(given["device"])
            _greet(given, device)
            device.on_reply(bytes.fromhex(given["reply"]))
        case other:
            raise KeyError(other)
    return {}


def _transcript(given: Json) -> Json:
    hub, device = _hub(given), _device(given["device"])
    hello = _greet(given, device)
    met = hub.on_hello(hello)
    form, no = given["welcome"], given["refused"]
    token = form["token"]
    welcome = hub.welcome(
        met,
        connection=form["connection"],
        keep_alive_ms=form["keep_alive_ms"],
        limits=Limits(*form["limits"]),
        token=None if token is None else Token(token["counter"], bytes.fromhex(token["mac"])),
        newest_serial=form["newest_serial"],
        changes=form["changes"],
        standing=form["standing"],
        now=TimeMs(form["at"]),
    )
    refused = hub.refused(hello, Reason(no["reason"]), TimeMs(no["at"]), no["retry_after_ms"])
    _heard(device, welcome, refused)
    return {
        "challenge_hash": challenge_hash(hub.message).hex(),
        "hello": hello.hex(),
        "hello_hash": hello_hash(encode(met.hello)).hex(),
        "message_hash": met.message_hash.hex(),
        "version": met.protocol,
        "followed": device.hub is not None and device.hub.followed,
        "welcome": welcome.hex(),
        "refused": refused.hex(),
    }


def _heard(device: DeviceHandshake, welcome: bytes, refused: bytes) -> None:
    assert isinstance(device.on_reply(welcome), Welcome)
    assert isinstance(device.on_reply(refused), RefusedBody)
