"""Every type of message in every state of a connection, and messages that are almost right."""

import random

import msgpack
import pytest
from tests.fuzz.codec_targets import vectors
from tests.fuzz.mutator import ODD, mutated
from tests.integration.hub.device import SigningDevice
from tests.integration.hub.listener.raw_frames import frame
from websockets.frames import Opcode

from muster_protocol.closes import CloseCode
from muster_protocol.codec import MAX_DEPTH, unpack
from muster_protocol.connect import Role
from muster_protocol.errors import Refused
from muster_protocol.frames import Challenge, Error, RefusedFrame, Reply, Who, decode_frame
from muster_protocol.ids import MAX_TIME_MS, Nonce
from muster_protocol.reasons import Reason

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEED = 20_252
MUTATIONS = 500
ODD_VALUES_PER_FIELD = 6


def _messages() -> dict[str, bytes]:
    """Return one message of each type, or more, as the test vectors have them."""
    found = {vector["name"]: bytes.fromhex(vector["input"]["message"]) for vector in vectors("frames")}
    return {name: data for name, data in found.items() if "t" in _fields(data)}


def _fields(data: bytes) -> dict[str, object]:
    try:
        value = unpack(data)
    except Refused:
        return {}
    return value if isinstance(value, dict) else {}


MESSAGES = _messages()


def _number(data: bytes) -> int:
    """Return the number that the one reply to these bytes must bear: the request's own, where it can be read."""
    number = _fields(data).get("id")
    return number if type(number) is int and 0 <= number <= MAX_TIME_MS else 0


async def _replied(link, data: bytes) -> Reply:
    reply: Reply = await link.ask_bytes(_number(data), data)
    assert not (isinstance(reply, Error) and reply.reason is Reason.INTERNAL), data
    return reply


@pytest.mark.parametrize("name", MESSAGES)
async def test_a_stranger_gets_a_signed_refusal_for_any_message(hub, name):
    async with hub.door.websocket() as peer:
        peer.message(MESSAGES[name])
        ending = await peer.ending()
    challenge, refused = (decode_frame(message) for message in ending.messages)
    assert isinstance(challenge, Challenge)
    assert isinstance(refused, RefusedFrame)
    assert ending.code in {CloseCode.PROTOCOL_VIOLATION, CloseCode.INCOMPATIBLE, CloseCode.KEY_MISMATCH}


@pytest.mark.parametrize("name", MESSAGES)
async def test_nothing_may_come_between_hello_and_welcome(hub, name):
    shake = SigningDevice().handshake(hub.url)
    async with hub.door.websocket() as peer:
        shake.on_challenge(await peer.message_of_hub())
        peer.send(frame(Opcode.BINARY, shake.hello(Nonce(bytes(32)), None)) + frame(Opcode.BINARY, MESSAGES[name]))
        ending = await peer.ending()
    assert ending.messages == ()
    assert ending.code == CloseCode.PROTOCOL_VIOLATION


@pytest.mark.parametrize("role", Role)
async def test_a_device_gets_one_reply_to_each_message_of_any_type(hub, role):
    device = SigningDevice()
    async with device.connect(hub.url, role=role) as link:
        for name, data in MESSAGES.items():
            reply = await _replied(link, data)
            if "id" not in _fields(data):
                assert isinstance(reply, Error), name
                assert reply.reason in {Reason.UNSUPPORTED, Reason.MALFORMED}, name


async def test_a_field_of_another_type_is_malformed_and_nothing_more(hub):
    chance = random.Random(SEED)  # noqa: S311 - to try different things, the same ones each time
    requests = {data: _fields(data) for data in MESSAGES.values() if "id" in _fields(data)}
    assert requests
    async with SigningDevice().connect(hub.url) as link:
        for fields in requests.values():
            for name in fields.keys() - {"t"}:
                for odd in chance.sample(ODD, ODD_VALUES_PER_FIELD):
                    await _replied(link, msgpack.packb({**fields, name: odd}))


async def test_messages_that_are_almost_right_get_one_reply_each(hub):
    chance = random.Random(SEED + 1)  # noqa: S311 - the same
    async with SigningDevice().connect(hub.url) as link:
        for _ in range(MUTATIONS):
            data = mutated(chance.choice(list(MESSAGES.values())), chance)
            assert data is not None
            await _replied(link, data)


@pytest.mark.parametrize("step", [b"\x91", b"\x81\xa1a"])
@pytest.mark.parametrize("depth", [MAX_DEPTH, 200, 1_023, 1_024, 20_000])
async def test_nesting_is_malformed_however_deep(hub, step, depth):
    async with SigningDevice().connect(hub.url) as link:
        deep = b"\x84\xa1t\xa3who\xa2id\x07\xa7clients\x90\xa1x" + step * depth + b"\xc0"
        reply = await link.ask_bytes(0, deep)
        assert isinstance(reply, Error)
        assert reply.reason is Reason.MALFORMED
        assert not isinstance(await link.ask_any(Who(id=0, clients=())), Error)


async def test_messages_leave_nothing_behind(hub):
    data = list(MESSAGES.values())

    async def attack():
        for number in range(60):
            async with hub.door.websocket() as peer:
                peer.message(data[number % len(data)])
                await peer.ending()
        async with SigningDevice().connect(hub.url) as link:
            for _ in range(10):
                for size in (0, 1, 100, 10_000, 65_536):
                    await _replied(link, bytes(size))
                await link.ask_bytes(0, b"\xdd\xff\xff\xff\xff")

    await hub.stays_flat(attack)
