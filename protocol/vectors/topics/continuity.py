"""continuity.json: tokens, proofs and verdicts (SPEC.md section 4.4)."""

from muster_protocol.continuity import genuine, hub_secret, issue, judge, judge_command_line, prove
from muster_protocol.ids import ClientId
from vectors.topics.cast import HUB_SECRET, LAPTOP, NAS, nonce
from vectors.topics.forms import Vector, accepted

CHALLENGE, HELLO = nonce("challenge"), nonce("hello")
COUNTERS = (1, 7, 2**32, 2**53 - 1)
PRESENTED = (
    (0, 0, 0),
    (0, 0, 1),
    (0, 1, 1),
    (1, 1, 1),
    (1, 1, 2),
    (2, 1, 2),
    (1, 2, 2),
    (1, 2, 3),
    (3, 1, 2),
    (9, 0, 0),
    (2**24 + 2, 1, 2),
    (2**24 + 3, 1, 2),
    (2**53 - 1, 0, 0),
)
COMMAND_LINES = (
    (0, 0, 0, 50),
    (0, 1, 40, 50),
    (0, 1, 50, 50),
    (1, 1, 40, 50),
    (2, 1, 40, 50),
    (1, 2, 49, 50),
    (1, 2, 50, 50),
    (1, 9, 60, 50),
)
"""What a command line showed, what was confirmed, when that was, and when the challenge was sent."""


def continuity() -> list[Vector]:
    """Return tokens with their proofs, proofs that are not genuine, and what each counter means."""
    secret = hub_secret(HUB_SECRET)
    found = [_token(secret, counter) for counter in COUNTERS]
    found.append(_genuine("the device that it was issued to", LAPTOP.client, expect=True))
    found.append(_genuine("another device", NAS.client, expect=False))
    found += [_judge(*numbers) for numbers in PRESENTED]
    return found + [_judge_command_line(*numbers) for numbers in COMMAND_LINES]


def _token(secret: bytes, counter: int) -> Vector:
    token = issue(secret, LAPTOP.client, counter)
    given = {
        "op": "prove",
        "hub_key_secret": HUB_SECRET.hex(),
        "client": LAPTOP.client,
        "counter": counter,
        "challenge": CHALLENGE.hex(),
        "hello": HELLO.hex(),
    }
    proof = prove(token, CHALLENGE, HELLO)
    expect = {"mac_key": secret.hex(), "token": token.mac.hex(), "proof": proof.mac.hex()}
    return accepted(f"token {counter}", given, expect)


def _genuine(name: str, client: ClientId, *, expect: bool) -> Vector:
    secret = hub_secret(HUB_SECRET)
    proof = prove(issue(secret, LAPTOP.client, 7), CHALLENGE, HELLO)
    given = {
        "op": "genuine",
        "hub_key_secret": HUB_SECRET.hex(),
        "client": client,
        "counter": proof.counter,
        "proof": proof.mac.hex(),
        "challenge": CHALLENGE.hex(),
        "hello": HELLO.hex(),
    }
    return accepted(
        f"a proof shown by {name}", given, {"genuine": genuine(secret, client, proof, CHALLENGE, HELLO) and expect}
    )


def _judge(presented: int, confirmed: int, issued: int) -> Vector:
    given = {"op": "judge", "presented": presented, "confirmed": confirmed, "issued": issued}
    name = f"presented {presented}, confirmed {confirmed}, issued {issued}"
    return accepted(name, given, {"verdict": judge(presented, confirmed, issued).value})


def _judge_command_line(presented: int, confirmed: int, confirmed_ms: int, challenged_ms: int) -> Vector:
    given = {
        "op": "judge_command_line",
        "presented": presented,
        "confirmed": confirmed,
        "confirmed_at": confirmed_ms,
        "challenged_at": challenged_ms,
    }
    name = (
        f"command line: presented {presented}, confirmed {confirmed} at {confirmed_ms}, challenged at {challenged_ms}"
    )
    verdict = judge_command_line(presented, confirmed, confirmed_ms=confirmed_ms, challenged_ms=challenged_ms)
    return accepted(name, given, {"verdict": verdict.value})
