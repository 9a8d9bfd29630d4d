"""connect.json: whole handshakes, and what stops each side (SPEC.md section 4)."""

from dataclasses import replace as changed

from msgspec.structs import replace

from muster_protocol.cards import ProtocolRange
from muster_protocol.closes import code_of
from muster_protocol.codec import encode
from muster_protocol.connect import (
    Connect,
    Hello,
    HubHandshake,
    Introduced,
    RefusedBody,
    Role,
    challenge_hash,
    hello_hash,
    hello_message_hash,
)
from muster_protocol.continuity import Proof
from muster_protocol.frames import Error, HelloFrame, RefusedFrame, WelcomeFrame, encode_frame
from muster_protocol.hub_keys import HubRotation, SignedHubRotation, sign_hub_rotation
from muster_protocol.ids import Signature
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, sign
from vectors.topics.cards import badly_rotated, rotated
from vectors.topics.cast import (
    HUB,
    HUB_NEXT,
    HUB_SECRET,
    HUB_THIRD,
    LAPTOP,
    LAPTOP_KEYS,
    NOW,
    OTHER_HUB,
    STRANGER,
    UNSAFE,
    instance_id,
    nonce,
    random_bytes,
    secret,
)
from vectors.topics.enrolment import CODE
from vectors.topics.forms import Json, Vector, accepted, refused
from vectors.topics.scene import KEY_SECRETS, LINKS, ORIGIN, ORIGINS, DialScene, welcome

RETRY_MS = 5000


def connect() -> list[Vector]:
    """Return whole transcripts, then challenges, hellos and replies that are refused."""
    return [*(_transcript(name, scene) for name, scene in _scenes().items()), *_challenges(), *_hellos(), *_replies()]


def _scenes() -> dict[str, DialScene]:
    rotated_laptop = DialScene(key=LAPTOP_KEYS[1], key_secret=secret(0x11), card=rotated(1))
    two_behind = DialScene(hub=HUB_THIRD, links=LINKS)
    return {
        "a first meeting: no hub key pinned, no token": DialScene(pinned=None),
        "an agent with its token": DialScene(token=True),
        "a device with an invitation": DialScene(enrolment=CODE),
        "a command line": DialScene(role=Role.CLI),
        "a device after one rotation": rotated_laptop,
        "the highest version that both speak": DialScene(
            hub_range=ProtocolRange(1, 2), device_range=ProtocolRange(1, 3)
        ),
        "a hub key that the pinned one certified": DialScene(hub=HUB_NEXT, links=LINKS[:1]),
        "a hub key two rotations after the pin": two_behind,
        "a hub key one rotation after a pin in the middle": changed(two_behind, pinned=HUB_NEXT.fingerprint),
        "the hub's second origin": DialScene(origin=ORIGINS[1]),
        "a refusal that names the hub's origins": DialScene(refusal=Reason.WRONG_ORIGIN),
    }


def _transcript(name: str, scene: DialScene) -> Vector:
    hub, device = scene.hub_side(), scene.device()
    device.on_challenge(hub.message)
    hello = device.hello(nonce("hello"), scene.proof())
    met = hub.on_hello(hello)
    token = scene.next_token()
    given = {
        "op": "transcript",
        "hub_secret": KEY_SECRETS[scene.hub.fingerprint].hex(),
        "origins": list(ORIGINS),
        "challenge": hub.message.hex(),
        "device": scene.shown(),
        "hello_nonce": nonce("hello").hex(),
        "proof": _proof(scene.proof()),
        "welcome": {
            "connection": 12,
            "keep_alive_ms": 20_000,
            "limits": [65_536, 15, 16, 256, 64],
            "token": None if token is None else {"counter": token.counter, "mac": token.mac.hex()},
            "newest_serial": 0,
            "changes": 0,
            "standing": None,
            "at": NOW,
        },
        "refused": {
            "code": code_of(scene.refusal).value,
            "reason": scene.refusal.value,
            "retry_after_ms": RETRY_MS,
            "at": NOW,
        },
    }
    expect = {
        "challenge_hash": challenge_hash(hub.message).hex(),
        "hello": hello.hex(),
        "hello_hash": hello_hash(encode(met.hello)).hex(),
        "message_hash": met.message_hash.hex(),
        "version": met.protocol,
        "followed": device.hub is not None and device.hub.followed,
        "welcome": welcome(hub, met, token).hex(),
        "refused": hub.refused(hello, scene.refusal, NOW, RETRY_MS).hex(),
    }
    return accepted(name, given, expect)


def _proof(proof: Proof | None) -> Json | None:
    return None if proof is None else {"counter": proof.counter, "mac": proof.mac.hex()}


def _challenges() -> list[Vector]:
    unsigned = replace(LINKS[0], signature=Signature(bytes(64)))
    third = DialScene(hub=HUB_THIRD, links=LINKS)
    changed_key = {
        "a hub key without a certificate chain": DialScene(hub=OTHER_HUB),
        "a rotation from another key": changed(third, links=LINKS[1:]),
        "a rotation to another key": changed(third, links=LINKS[:1]),
        "rotations in another order": changed(third, links=LINKS[::-1]),
        "a retired hub key": DialScene(links=LINKS, pinned=HUB_NEXT.fingerprint),
    }
    found = [_challenged(name, scene, Reason.HUB_KEY_CHANGED, "rule") for name, scene in changed_key.items()]
    bad_link = DialScene(hub=HUB_NEXT, links=(unsigned,))
    found.append(_challenged("a rotation without a good signature", bad_link, Reason.BAD_SIGNATURE, "signature"))
    newer = DialScene(hub_range=ProtocolRange(2, 3))
    found.append(_challenged("no common version", newer, Reason.INCOMPATIBLE_PROTOCOL, "rule"))
    another = _challenged("another message in its place", DialScene(), Reason.MALFORMED, "rule", DialScene().hello())
    return [*found, another, *_unsafe_challenges()]


def _unsafe_challenges() -> list[Vector]:
    """Return challenges with a key of small order: as the hub's own key, and as one between the pin and it."""
    new = DialScene(pinned=None)
    own = encode_frame(replace(new.challenge(), hub_key=UNSAFE))
    between = encode(HubRotation(number=2, old_key=UNSAFE, new_key=HUB_THIRD.public))
    links = (sign_hub_rotation(1, HUB, UNSAFE), SignedHubRotation(between, Signature(bytes(64))))
    followed = DialScene(hub=HUB_THIRD, links=links)
    return [
        _challenged("an unsafe hub key", new, Reason.MALFORMED, "key", own),
        _challenged("an unsafe key among the rotations", followed, Reason.MALFORMED, "key"),
    ]


def _challenged(name: str, scene: DialScene, reason: Reason, layer: str, message: bytes | None = None) -> Vector:
    given = {"op": "on_challenge", "device": scene.shown(), "challenge": (message or scene.message).hex()}
    return refused(f"challenge: {name}", given, reason, layer)


def _hello_body() -> bytes:
    return encode(_hello())


def _hello(protocol: ProtocolRange | None = None) -> Hello:
    scene = DialScene()
    return Hello(
        card=scene.card,
        instance=instance_id("laptop"),
        role=scene.role,
        nonce=nonce("hello"),
        protocol=protocol or scene.device_range,
        continuity=None,
        enrolment=None,
    )


def _connect(hello: bytes) -> Connect:
    return Connect(
        client=LAPTOP.client,
        challenge=challenge_hash(DialScene().message),
        hello=hello_hash(hello),
        origin=ORIGIN,
        hub_key=HUB.fingerprint,
    )


def _framed(hello: bytes, signed_connect: Signed) -> bytes:
    return encode_frame(HelloFrame(hello=hello, connect=signed_connect))


def _hellos() -> list[Vector]:
    body = _hello_body()
    own = _connect(body)
    newer = encode(_hello(ProtocolRange(2, 2)))
    bound = {
        "for another challenge": replace(own, challenge=challenge_hash(b"another")),
        "for another hello": replace(own, hello=hello_hash(b"another")),
        "of another device": replace(own, client=STRANGER.client),
    }
    found = [
        _greeted(name, _framed(body, sign(connect_body, LAPTOP.key)), Reason.MISMATCH, "rule")
        for name, connect_body in bound.items()
    ]
    elsewhere = {"from another origin": "wss://other.example", "from an origin with a slash behind it": ORIGIN + "/"}
    found += [
        _greeted(name, _framed(body, sign(replace(own, origin=origin), LAPTOP.key)), Reason.WRONG_ORIGIN, "rule")
        for name, origin in elsewhere.items()
    ]
    bad_chain = encode(replace(_hello(), card=badly_rotated()))
    bad_card = encode(replace(_hello(), card=replace(DialScene().card, signature=Signature(bytes(64)))))
    turned = replace(sign(own, LAPTOP.key), signature=Signature(bytes(64)))
    others = {
        # The attacker's hub shows the honest hub's nonce under its own key, and passes on what it hears.
        "relayed by another hub": (
            DialScene(hub=OTHER_HUB, pinned=None).hello(),
            Reason.HUB_KEY_CHANGED,
            "rule",
        ),
        "signed by another key": (_framed(body, sign(own, STRANGER.key)), Reason.MISMATCH, "signature"),
        "with a turned signature": (_framed(body, turned), Reason.BAD_SIGNATURE, "signature"),
        # The chain of a card comes last: each of these also has a link without a good signature.
        "signed by another key, with a bad chain": (
            _framed(bad_chain, sign(_connect(bad_chain), STRANGER.key)),
            Reason.MISMATCH,
            "signature",
        ),
        "for another hub, with a bad chain": (
            _framed(bad_chain, sign(replace(_connect(bad_chain), hub_key=OTHER_HUB.fingerprint), LAPTOP_KEYS[1])),
            Reason.HUB_KEY_CHANGED,
            "rule",
        ),
        "with a bad chain": (
            _framed(bad_chain, sign(_connect(bad_chain), LAPTOP_KEYS[1])),
            Reason.BAD_SIGNATURE,
            "signature",
        ),
        "with a card and a connect without good signatures": (
            _framed(bad_card, replace(sign(_connect(bad_card), LAPTOP.key), signature=Signature(bytes(64)))),
            Reason.BAD_SIGNATURE,
            "signature",
        ),
        "for another hub, with a card without a good signature": (
            _framed(bad_card, sign(replace(_connect(bad_card), hub_key=OTHER_HUB.fingerprint), LAPTOP.key)),
            Reason.HUB_KEY_CHANGED,
            "rule",
        ),
        "signed by a retired key": (DialScene(card=rotated(1)).hello(), Reason.MISMATCH, "signature"),
        "with a byte behind the body": (
            _framed(body + b"\xc0", sign(_connect(body + b"\xc0"), LAPTOP.key)),
            Reason.MALFORMED,
            "encoding",
        ),
        "another message in its place": (DialScene().message, Reason.MALFORMED, "rule"),
        "no common version": (
            _framed(newer, sign(_connect(newer), LAPTOP.key)),
            Reason.INCOMPATIBLE_PROTOCOL,
            "rule",
        ),
    }
    return found + [_greeted(name, message, reason, layer) for name, (message, reason, layer) in others.items()]


def _greeted(name: str, message: bytes, reason: Reason, layer: str) -> Vector:
    given = {
        "op": "on_hello",
        "hub_secret": HUB_SECRET.hex(),
        "origins": list(ORIGINS),
        "challenge": DialScene().message.hex(),
        "hello": message.hex(),
    }
    return refused(f"hello: {name}", given, reason, layer)


def _replies() -> list[Vector]:
    scene = DialScene(device_range=ProtocolRange(1, 2), hub_range=ProtocolRange(1, 2))
    hub = scene.hub_side()
    met = hub.on_hello(scene.hello())
    other_challenge = replace(scene.challenge(), nonce=nonce("another challenge"))
    found = [
        ("welcome for another challenge", welcome(HubHandshake(HUB, other_challenge, frozenset()), met)),
        ("welcome for another hello", welcome(hub, changed(met, message_hash=hello_message_hash(b"another")))),
        ("refused for another hello", hub.refused(b"", Reason.DEVICE_REVOKED, NOW)),
    ]
    replies = [_replied(name, scene, message, Reason.MISMATCH, "rule") for name, message in found]
    return replies + [
        _replied(name, scene, message, reason, layer)
        for name, (message, reason, layer) in _other_replies(scene, hub, met).items()
    ]


def _other_replies(scene: DialScene, hub: HubHandshake, met: Introduced) -> dict[str, tuple[bytes, Reason, str]]:
    impostor = HubHandshake(OTHER_HUB, scene.challenge(), frozenset(ORIGINS))
    no = RefusedBody(
        challenge=challenge_hash(scene.message),
        hello=met.message_hash,
        code=4501,
        reason=Reason.DEVICE_REVOKED,
        retry_after_ms=None,
        at=NOW,
        origins=(),
    )
    unsigned = replace(sign(no, HUB), signature=Signature(bytes(64)))
    return {
        "welcome of another hub": (welcome(impostor, met), Reason.MISMATCH, "signature"),
        "refused by another hub": (
            impostor.refused(scene.hello(), Reason.DEVICE_REVOKED, NOW),
            Reason.MISMATCH,
            "signature",
        ),
        "refused without a good signature": (
            encode_frame(RefusedFrame(refused=unsigned)),
            Reason.BAD_SIGNATURE,
            "signature",
        ),
        "refused in the place of welcome": (
            encode_frame(WelcomeFrame(welcome=sign(no, HUB))),
            Reason.BAD_SIGNATURE,
            "signature",
        ),
        "a lower version than both speak": (
            welcome(hub, changed(met, protocol=1)),
            Reason.INCOMPATIBLE_PROTOCOL,
            "rule",
        ),
        "refused with the code of another reason": (
            encode_frame(RefusedFrame(refused=sign(replace(no, reason=Reason.OVERLOADED), HUB))),
            Reason.MALFORMED,
            "rule",
        ),
        "welcome with a standing that lets no device connect": (
            welcome(hub, met, standing=Reason.DEVICE_REVOKED),
            Reason.MALFORMED,
            "rule",
        ),
        "an error without a signature": (
            encode_frame(Error(re=0, reason=Reason.DEVICE_REVOKED)),
            Reason.MALFORMED,
            "rule",
        ),
        "bytes without sense": (random_bytes("noise", 40), Reason.MALFORMED, "encoding"),
    }


def _replied(name: str, scene: DialScene, message: bytes, reason: Reason, layer: str) -> Vector:
    given = {
        "op": "on_reply",
        "device": scene.shown(),
        "challenge": scene.message.hex(),
        "hello_nonce": nonce("hello").hex(),
        "proof": None,
        "reply": message.hex(),
    }
    return refused(f"reply: {name}", given, reason, layer)
