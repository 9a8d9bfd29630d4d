"""Close codes: a client tells by the number alone whether to come back."""

import pytest

from muster_protocol.closes import CloseCode, NextTry, after_close, after_refusal, is_stop

CODES = {
    "GOING_AWAY": 4001,
    "OVERLOADED": 4002,
    "STORE_UNAVAILABLE": 4003,
    "SLOW_READER": 4004,
    "HANDSHAKE_TIMEOUT": 4005,
    "KEEPALIVE_TIMEOUT": 4006,
    "RATE_LIMITED": 4007,
    "INTERNAL": 4008,
    "NOT_ENROLLED": 4009,
    "REVOKED": 4501,
    "KEY_MISMATCH": 4502,
    "INCOMPATIBLE": 4503,
    "PROTOCOL_VIOLATION": 4504,
    "SUPERSEDED": 4505,
    "UNSUPPORTED_DATA": 4506,
    "WRONG_ORIGIN": 4507,
}
"""Once given, a code keeps its meaning; new ones are added."""


def test_codes_are_stable() -> None:
    assert {code.name: code.value for code in CloseCode} == CODES


@pytest.mark.parametrize("code", CloseCode)
def test_the_number_tells_the_family(code: CloseCode) -> None:
    stops = {
        "REVOKED",
        "KEY_MISMATCH",
        "INCOMPATIBLE",
        "PROTOCOL_VIOLATION",
        "SUPERSEDED",
        "UNSUPPORTED_DATA",
        "WRONG_ORIGIN",
    }
    assert is_stop(code) == (code.name in stops)


@pytest.mark.parametrize(
    ("code", "stops"),
    [
        (1000, False),
        (1001, False),
        (1006, False),
        (1011, False),
        (1012, False),
        (3000, False),
        (4000, False),
        (4499, False),
        (4500, True),
        (4999, True),
        (5000, False),
        (0, False),
    ],
)
def test_unknown_codes_have_a_family_too(code: int, stops: bool) -> None:
    assert is_stop(code) == stops


PASSING = [*(code for code in CloseCode if not is_stop(code)), 1000, 1006, 3000, 4499, 5000]
LASTING = [
    CloseCode.KEY_MISMATCH,
    CloseCode.INCOMPATIBLE,
    CloseCode.PROTOCOL_VIOLATION,
    CloseCode.UNSUPPORTED_DATA,
    4500,
    4999,
]


def test_only_a_proven_revocation_stops_a_device_for_good() -> None:
    stopping = [code for code in range(6000) if after_refusal(code, pinned=True) is NextTry.NEVER]
    assert stopping == [CloseCode.REVOKED]
    assert all(after_refusal(code, pinned=False) is NextTry.USUAL for code in range(6000))
    assert all(after_close(code) is not NextTry.NEVER for code in range(6000))
    assert after_close(CloseCode.REVOKED) is NextTry.USUAL


@pytest.mark.parametrize("code", LASTING)
def test_what_does_not_pass_with_time_is_tried_rarely(code: int) -> None:
    assert after_close(code) is after_refusal(code, pinned=True) is NextTry.RARE


def test_a_superseded_process_comes_back_as_a_new_instance() -> None:
    code = CloseCode.SUPERSEDED
    assert after_close(code) is after_refusal(code, pinned=True) is NextTry.NEW_INSTANCE


@pytest.mark.parametrize("code", PASSING)
def test_what_passes_with_time_is_tried_as_usual(code: int) -> None:
    assert after_close(code) is after_refusal(code, pinned=True) is NextTry.USUAL
