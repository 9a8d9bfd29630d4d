"""The PROXY protocol: what counts as a header, whose address it names, and what is refused."""

import pytest

from muster_hub.listener.proxy_header import (
    MAX_BINARY_BYTES,
    NO_HEADER,
    SIGNATURE,
    ProxyHeader,
    ProxyHeaderError,
    read_proxy_header,
)

FOUR = bytes([192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2])
SIX = bytes.fromhex("20010db8" + "00" * 11 + "01") * 2 + bytes(4)


def binary(version_command: int, family: int, rest: bytes) -> bytes:
    return SIGNATURE + bytes([version_command, family]) + len(rest).to_bytes(2) + rest


@pytest.mark.parametrize(
    ("header", "source"),
    [
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65535\r\n", "192.0.2.1"),
        (b"PROXY TCP6 2001:DB8::1 ::1 1 2\r\n", "2001:db8::1"),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None),
        (binary(0x21, 0x11, FOUR), "192.0.2.1"),
        (binary(0x21, 0x11, FOUR + b"\x04\x00\x03abc"), "192.0.2.1"),
        (binary(0x21, 0x21, SIX), "2001:db8::1"),
        (binary(0x20, 0x11, FOUR), None),
        (binary(0x20, 0x00, b""), None),
        (binary(0x21, 0x00, b""), None),
        (binary(0x21, 0x31, bytes(216)), None),
    ],
)
def test_a_header_names_the_source_however_it_arrives(header: bytes, source: str | None) -> None:
    for size in range(len(header)):
        assert read_proxy_header(header[:size]) is None
    expected = ProxyHeader(len(header), source)
    assert read_proxy_header(header) == expected
    assert read_proxy_header(header + b"GET / HTTP/1.1\r\n") == expected


@pytest.mark.parametrize("first", [b"G", b"PR\r\n", b"PROXYTCP4", b"\x16\x03\x01", b"\r\nGET", b"\r\n\r\n\x01"])
def test_other_bytes_are_no_header(first: bytes) -> None:
    assert read_proxy_header(first) is NO_HEADER


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY \r\n",
        b"PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n",
        b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2.5 1 2\r\n",
        b"PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\nGET\r\n",
        b"PROXY " + b"1" * 101,
        b"PROXY UNKNOWN " + b"1" * 100 + b"\r\n",
        binary(0x11, 0x11, FOUR),
        binary(0x22, 0x11, FOUR),
        binary(0x21, 0x11, FOUR[:-1]),
        binary(0x21, 0x21, FOUR),
        binary(0x21, 0x11, bytes(MAX_BINARY_BYTES))[:16],
    ],
)
def test_what_only_begins_as_a_header_is_refused(header: bytes) -> None:
    with pytest.raises(ProxyHeaderError):
        read_proxy_header(header)
