"""How the store is named: its URLs, and the keys in it."""

import base64
import inspect
from collections.abc import Callable

import pytest
from tests.slots import slot_tag

from muster_hub.store import keys, urls
from muster_hub.store.errors import StoreRefused

CLIENT = base64.b32encode(bytes.fromhex("c5") + bytes(19)).decode().lower()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://store.local", "redis://store.local:6379/0"),
        ("redis://store.local:7000/3", "redis://store.local:7000/3"),
        ("valkey://10.0.0.1", "redis://10.0.0.1:6379/0"),
        ("rediss://hub:p%40ss@store.local/1", "rediss://hub:***@store.local:6379/1"),
        ("redis://:p@[::1]:7000", "redis://:***@[::1]:7000/0"),
        ("unix:///run/store.sock", "unix:///run/store.sock"),
        ("unix://hub:p@/run/store.sock?db=2", "unix://hub:***@/run/store.sock?db=2"),
    ],
)
def test_a_store_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert urls.describe(url) == shown
    assert "p@" not in repr(urls.parse(url))


def test_a_login_is_decoded() -> None:
    address = urls.parse("rediss://hub:p%40ss@store.local/1")
    assert (address.kind, address.username, address.password, address.database) == ("tls", "hub", "p@ss", 1)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "store.local:6379",
        "http://hunter2@store.local",
        "redis://",
        "redis://store.local/hunter2",
        "redis://store.local:hunter2",
        "redis://store.local/-1",
        "redis://store.local/70000",
        "redis://store.local?hunter2=1",
        "unix://store.sock",
        "unix:///run/store.sock?hunter2=1",
        "unix:///run/store.sock?db=hunter2",
    ],
)
def test_what_is_no_store_url_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(StoreRefused, match="expected redis://") as caught:
        urls.parse(url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("first", range(256))
def test_the_bucket_is_the_first_byte_of_the_id(first: int) -> None:
    name = base64.b32encode(bytes([first]) + bytes(range(19))).decode().lower()
    assert keys.bucket(name) == first
    assert keys.device(name).startswith(b"{b:%02x}:" % first)


@pytest.mark.parametrize("name", ["", "a", "A" * 32, "1" * 32, "é" * 32])
def test_what_is_no_id_has_no_bucket(name: str) -> None:
    with pytest.raises(ValueError, match="base32"):
        keys.bucket(name)


def test_there_are_256_buckets() -> None:
    assert len({keys.tag(number) for number in range(keys.BUCKETS)}) == 256
    for number in (-1, 256):
        with pytest.raises(ValueError, match="no bucket"):
            keys.tag(number)


def _makers(parameter: str) -> list[Callable[[str | int], bytes]]:
    """The functions that make a key of this kind of name."""
    found = inspect.getmembers(keys, inspect.isfunction)
    return [make for name, make in found if name != "tag" and list(inspect.signature(make).parameters) == [parameter]]


def test_all_keys_of_one_id_lie_in_one_slot_and_differ() -> None:
    made = [make(CLIENT) for make in _makers("client") + _makers("sid")]
    made += [make(0xC5) for make in _makers("number")]
    assert len(set(made)) == len(made) >= 16
    assert {slot_tag(key) for key in made} == {b"b:c5"}


def test_every_key_is_in_the_table() -> None:
    made = [keys.LEASES.decode(), keys.HUB.decode(), keys.channel("<node>").decode()]
    for parameter, name in (("client", CLIENT), ("sid", CLIENT), ("number", 0xC5)):
        shown = "<session>" if parameter == "sid" else f"<{parameter}>"
        texts = (make(name).decode() for make in _makers(parameter))
        made += [text.replace("b:c5", "b:xx").replace(CLIENT, shown) for text in texts]
    assert keys.__doc__
    assert not [key for key in made if f"| `{key}` |" not in keys.__doc__]
