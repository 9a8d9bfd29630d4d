"""Which proxy the environment names."""

import pytest

from muster_client.connection.proxy import VARIABLES, proxy_for, shown
from muster_client.errors import HubUnreachable, Trouble

HUB = "wss://hub.example.org"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        (HUB, {}, None),
        (HUB, {"HTTPS_PROXY": "http://p:3128"}, "http://p:3128"),
        (HUB, {"https_proxy": "http://p:3128"}, "http://p:3128"),
        (HUB, {"HTTPS_PROXY": "p:3128"}, "http://p:3128"),
        (HUB, {"ALL_PROXY": "socks5://p:1080"}, "socks5://p:1080"),
        (HUB, {"ALL_PROXY": "socks://p:1080"}, "socks5h://p:1080"),
        (HUB, {"ALL_PROXY": "socks5://p", "HTTPS_PROXY": "http://q"}, "http://q"),
        (HUB, {"WSS_PROXY": "http://w", "HTTPS_PROXY": "http://q"}, "http://w"),
        (HUB, {"HTTP_PROXY": "http://p:3128"}, None),
        (HUB, {"HTTPS_PROXY": "http://p", "NO_PROXY": "example.org"}, None),
        (HUB, {"HTTPS_PROXY": "http://p", "NO_PROXY": "hub.example.org:443"}, None),
        (HUB, {"HTTPS_PROXY": "http://p", "NO_PROXY": "*"}, None),
        (HUB, {"HTTPS_PROXY": "http://p", "NO_PROXY": "example.com"}, "http://p"),
        (HUB, {"HTTPS_PROXY": ""}, None),
        ("ws://10.0.0.1:7627", {"HTTP_PROXY": "http://p"}, "http://p"),
        ("ws://10.0.0.1:7627", {"HTTPS_PROXY": "http://p"}, None),
        ("ws://127.0.0.1:7627", {"HTTP_PROXY": "http://p", "ALL_PROXY": "http://p"}, None),
        ("wss://localhost", {"HTTPS_PROXY": "http://p"}, None),
        ("wss://[::1]", {"HTTPS_PROXY": "http://p"}, None),
    ],
)
def test_the_proxy_is_the_one_that_other_programs_would_take(monkeypatch, url, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == expected


@pytest.mark.parametrize(
    "proxy",
    [
        "http://",
        "http://[::1",
        "http://p:99999",
        "http://ann:secret:p",
        "http://p:0",
        "http://ann:secret@p q:1",
        "ftp://p",
        "socks5://",
        "://",
        300 * "x",
    ],
)
def test_what_is_no_proxy_is_told_and_not_quoted(monkeypatch, proxy):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(HubUnreachable, match="names as a proxy") as caught:
        proxy_for(HUB)
    assert caught.value.trouble is Trouble.PROXY_FAILED
    assert "secret" not in str(caught.value)


def test_the_password_is_never_shown():
    assert shown("http://ann:secret@p:3128") == "http://p:3128"
    assert shown("socks5h://p:1080") == "socks5h://p:1080"
