"""Which hub a device dials, and what it signs for."""

import pytest

from muster_client.device.hub_address import parse_hub_url
from muster_client.errors import BadHubUrl


@pytest.mark.parametrize(
    ("text", "url", "origin"),
    [
        ("ws://127.0.0.1:7627", "ws://127.0.0.1:7627", "ws://127.0.0.1:7627"),
        ("ws://localhost:7627/", "ws://localhost:7627", "ws://localhost:7627"),
        ("ws://[::1]:7627", "ws://[::1]:7627", "ws://[::1]:7627"),
        ("wss://Hub.Example.org", "wss://hub.example.org", "wss://hub.example.org"),
        ("wss://hub.example.org:443", "wss://hub.example.org", "wss://hub.example.org"),
        ("wss://bücher.example", "wss://bücher.example", "wss://bücher.example"),
        (" wss://hub.example.org:8443/muster ", "wss://hub.example.org:8443/muster", "wss://hub.example.org:8443"),
    ],
)
def test_urls_that_a_device_dials(text: str, url: str, origin: str) -> None:
    address = parse_hub_url(text)
    assert (address.url, address.origin) == (url, origin)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hub.example.org",
        "https://hub.example.org",
        "wss://",
        "wss://user:secret@hub.example.org",
        "wss://hub.example.org/?a=b",
        "wss://hub.example.org/#x",
        "wss://hub.example.org:99999",
        "wss://[::1",
        "wss://hub..example.org",
        "wss://" + 64 * "a" + ".example.org",
        "wss://hub example.org",
        "wss://hub\\example.org",
        "wss://*",
        "ws://127.0.0.1:0",
        "wss://hub.example.org/a\x01b",
        "wss://hub.example.org/a b",
        "wss://" + 300 * "a",
    ],
)
def test_other_urls_are_refused(text: str) -> None:
    with pytest.raises(BadHubUrl):
        parse_hub_url(text)


@pytest.mark.parametrize("text", ["ws://hub.example.org", "ws://192.168.1.2:7627", "ws://127.example.org"])
def test_plain_ws_leaves_this_machine_only_when_it_is_allowed(text: str) -> None:
    with pytest.raises(BadHubUrl, match="insecure"):
        parse_hub_url(text)
    assert parse_hub_url(text, insecure=True).url == text
