"""Close codes: a client tells by the number alone whether to come back."""

import pytest

from muster_protocol.closes import CloseCode, is_stop

CODES = {
    "GOING_AWAY": 4001,
    "OVERLOADED": 4002,
    "STORE_UNAVAILABLE": 4003,
    "SLOW_READER": 4004,
    "HANDSHAKE_TIMEOUT": 4005,
    "KEEPALIVE_TIMEOUT": 4006,
    "RATE_LIMITED": 4007,
    "INTERNAL": 4008,
    "REVOKED": 4501,
    "KEY_MISMATCH": 4502,
    "INCOMPATIBLE": 4503,
    "PROTOCOL_VIOLATION": 4504,
    "SUPERSEDED": 4505,
    "UNSUPPORTED_DATA": 4506,
}
"""Once given, a code keeps its meaning; new ones are added."""


def test_codes_are_stable() -> None:
    assert {code.name: code.value for code in CloseCode} == CODES


@pytest.mark.parametrize("code", CloseCode)
def test_the_number_tells_the_family(code: CloseCode) -> None:
    stops = {"REVOKED", "KEY_MISMATCH", "INCOMPATIBLE", "PROTOCOL_VIOLATION", "SUPERSEDED", "UNSUPPORTED_DATA"}
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
