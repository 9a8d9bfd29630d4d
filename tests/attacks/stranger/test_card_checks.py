"""Cards with long chains of keys, by which a stranger makes the hub check signatures."""

import os
import time
from collections import Counter

import msgspec
from tests.integration.hub.device import SigningDevice, dial, receive
from tests.integration.hub.hub_process import process, ready
from websockets.exceptions import InvalidMessage

from muster_hub.listener import ListenerSettings
from muster_protocol.cards import MAX_ROTATIONS, SIGNATURES_PER_LINK
from muster_protocol.closes import CloseCode
from muster_protocol.connect import RefusedBody, Welcome
from muster_protocol.frames import HelloFrame, decode_frame, encode_frame
from muster_protocol.ids import Nonce, Signature
from muster_protocol.reasons import Reason

ATTACKER = "127.0.0.2"
CARDS = 100
A_CHAIN = SIGNATURES_PER_LINK * MAX_ROTATIONS
WORK = ListenerSettings().stranger_work


def long_chain() -> SigningDevice:
    """Return a device that changed its key as often as it may."""
    device = SigningDevice()
    for _ in range(MAX_ROTATIONS):
        device.rotate()
    return device


def spoil(device: SigningDevice) -> None:
    """Give the last rotation a signature that is wrong, and new each time, and sign the card again."""
    bad = msgspec.structs.replace(device.rotations[-1], new_signature=Signature(os.urandom(64)))
    device.rotations = (*device.rotations[:-1], bad)
    device.card(new=True)


async def introduce(device: SigningDevice, url: str, *, proved: bool = True) -> RefusedBody | Welcome:
    """Send a ``hello`` from the attacker's address and return the answer; without a proof another key signs it."""
    async with dial(url, source=ATTACKER) as socket:
        shake = device.handshake(url)
        shake.on_challenge(await receive(socket))
        message = shake.hello(Nonce(os.urandom(32)), None)
        if proved:
            await socket.send(message)
            return shake.on_reply(await receive(socket))
        hello = decode_frame(message)
        assert isinstance(hello, HelloFrame)
        forged = msgspec.structs.replace(hello.connect, signature=Signature(bytes(64)))
        await socket.send(encode_frame(HelloFrame(hello=hello.hello, connect=forged)))
        answer = decode_frame(await receive(socket))
        return msgspec.msgpack.decode(answer.refused.body, type=RefusedBody)  # type: ignore[attr-defined]


async def attack(device: SigningDevice, url: str, *, proved: bool, new: bool) -> Counter[Reason | None]:
    """Introduce the device often, with another bad chain each time if ``new``; return the reasons of the refusals.

    None is the reason of a socket that is reset, since its address cannot even pay for it.
    """
    reasons: Counter[Reason | None] = Counter()
    for _ in range(CARDS):
        if new:
            spoil(device)
        try:
            answer = await introduce(device, url, proved=proved)
        except (ConnectionError, InvalidMessage):
            reasons[None] += 1
            continue
        assert isinstance(answer, RefusedBody)
        reasons[answer.reason] += 1
        if answer.reason is Reason.OVERLOADED:
            assert answer.code == CloseCode.OVERLOADED
            assert answer.retry_after_ms
    return reasons


async def test_long_bad_chains_are_checked_within_the_allowance_of_an_address(tmp_path: object) -> None:
    assert WORK is not None
    async with process("--json", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path)) as hub:
        url = str((await ready(hub))["url"])
        began_s = time.monotonic()
        reasons = await attack(long_chain(), url, proved=True, new=True)
        allowed = WORK.burst + WORK.per_s * (time.monotonic() - began_s)
        assert 0 < reasons[Reason.BAD_SIGNATURE] <= allowed / A_CHAIN
        assert reasons[Reason.BAD_SIGNATURE] + reasons[Reason.OVERLOADED] + reasons[None] == CARDS
        async with SigningDevice().connect(url):
            pass  # another address has an allowance of its own


async def test_a_chain_is_not_checked_for_one_that_did_not_prove_its_key(tmp_path: object) -> None:
    """Each costs one signature, so that all of them are within the allowance, which a few chains exhaust."""
    async with process("--json", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path)) as hub:
        url = str((await ready(hub))["url"])
        assert WORK is not None
        assert WORK.burst < CARDS * A_CHAIN
        reasons = await attack(long_chain(), url, proved=False, new=True)
        assert reasons == {Reason.BAD_SIGNATURE: CARDS}
        assert isinstance(await introduce(long_chain(), url), Welcome)  # there is enough left for a good chain


async def test_a_bad_chain_that_is_repeated_is_not_checked_again(tmp_path: object) -> None:
    async with process("--json", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path)) as hub:
        url = str((await ready(hub))["url"])
        device = long_chain()
        spoil(device)
        reasons = await attack(device, url, proved=True, new=False)
        assert reasons == {Reason.BAD_SIGNATURE: CARDS}
