"""Whose request a trusted proxy hands on: what its headers say, and what a client cannot make them say."""

import ipaddress

import pytest
from websockets.datastructures import Headers

from muster_hub.listener.forwarded import ForwardedError, forwarded_for

PROXY, OTHER_PROXY = "10.0.0.1", "2001:db8:ffff::1"
TRUSTED = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8:ffff::/48"))
X, F = "X-Forwarded-For", "Forwarded"
Lines = list[tuple[str, str]]


def told(lines: Lines) -> str:
    return forwarded_for(PROXY, Headers(lines), TRUSTED)


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        ([], PROXY),
        ([(X, "192.0.2.1")], "192.0.2.1"),
        ([("x-forwarded-for", "192.0.2.1:4711")], "192.0.2.1"),
        ([(X, "2001:DB8::1")], "2001:db8::1"),
        ([(X, "[2001:db8::1]:80")], "2001:db8::1"),
        ([(X, "::ffff:192.0.2.1")], "192.0.2.1"),
        ([(X, "192.0.2.1, 10.9.9.9 ,2001:db8:ffff::7")], "192.0.2.1"),
        ([(X, "192.0.2.1"), (X, "10.9.9.9")], "192.0.2.1"),
        ([(X, "10.1.1.1, 10.2.2.2")], "10.1.1.1"),
        ([(F, "for=192.0.2.1")], "192.0.2.1"),
        ([(F, 'proto=https;FOR="[2001:db8::1]:4711";by=_hidden')], "2001:db8::1"),
        ([(F, 'for="192.0.2.1:_port"')], "192.0.2.1"),
        ([(F, "for=192.0.2.1, , for=10.1.1.1 ,")], "192.0.2.1"),
        ([(F, 'for=192.0.2.1;host="a,b;for=192.0.2.9\\""')], "192.0.2.1"),
        ([(F, 'for="\\1\\92.0.2.1"')], "192.0.2.1"),
        ([(X, "192.0.2.1"), (F, "for=192.0.2.1")], "192.0.2.1"),
    ],
)
def test_the_last_address_that_is_no_trusted_proxy_counts(lines: Lines, address: str) -> None:
    assert told(lines) == address


@pytest.mark.parametrize(
    "before", ["198.51.100.9", "unknown", "", "10.0.0.1", "for=198.51.100.9", 'a, b,,;="', "198.51.100.9, 10.0.0.1"]
)
def test_what_a_client_writes_before_its_proxy_does_not_count(before: str) -> None:
    assert told([(X, f"{before}, 192.0.2.1")]) == "192.0.2.1"
    assert told([(X, before), (X, f"192.0.2.1, {OTHER_PROXY}")]) == "192.0.2.1"


@pytest.mark.parametrize(
    "lines",
    [
        [(X, "")],
        [(X, "unknown")],
        [(X, "192.0.2.1,")],
        [(X, "192.0.2.1, somewhere, 10.1.1.1")],
        [(X, "192.0.2.256")],
        [(X, "fe80::1%eth0")],
        [(X, "[192.0.2.1")],
        [(X, "192.0.2")],
        [(F, "for=unknown")],
        [(F, "for=_hidden")],
        [(F, "for=192.0.2.1, proto=https")],
        [(F, "192.0.2.1")],
        [(F, 'for="192.0.2.1')],
        [(F, 'for="'), (F, "for=192.0.2.1")],
        [(F, "for=192.0.2.1;")],
        [(F, "for=2001:db8::1 for=192.0.2.1")],
        [(X, "192.0.2.1"), (F, "for=192.0.2.2")],
        [(X, "192.0.2.1"), (F, "for=10.0.0.7")],
    ],
)
def test_what_names_nobody_or_two_is_refused(lines: Lines) -> None:
    with pytest.raises(ForwardedError):
        told(lines)
