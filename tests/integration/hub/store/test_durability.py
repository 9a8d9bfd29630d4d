"""What a real store says about itself, and whose it is."""

import pytest

from muster_hub.store.adapter import Store
from muster_hub.store.durability import claim_hub, durability, judge
from muster_hub.store.embedded import EmbeddedStore
from muster_hub.store.errors import StoreRefused, StoreUnavailable
from muster_hub.store.urls import parse


async def test_the_embedded_store_keeps_what_is_acknowledged(own_store: EmbeddedStore) -> None:
    found = await durability(parse(own_store.url))
    assert (found.appendfsync, found.policy, found.unverified) == ("always", "noeviction", False)
    assert found.sentence == "What is acknowledged is on the store's disk."


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        (b"appendfsync", b"everysec", "the last second"),
        (b"appendfsync", b"no", "half a minute"),
        (b"appendonly", b"no", "since its last snapshot"),
    ],
)
async def test_what_a_store_may_lose_is_reported(own_store, ask, setting: bytes, value: bytes, words: str) -> None:
    await ask(own_store.url, b"CONFIG", b"SET", setting, value)
    found = await durability(parse(own_store.url))
    assert words in found.sentence
    assert not found.unverified


async def test_a_store_that_forgets_keys_is_refused(own_store, ask) -> None:
    await ask(own_store.url, b"CONFIG", b"SET", b"maxmemory-policy", b"allkeys-lru")
    with pytest.raises(StoreRefused, match=r"allkeys-lru.*noeviction"):
        await durability(parse(own_store.url))


async def test_a_replica_is_refused(own_store, ask) -> None:
    await ask(own_store.url, b"REPLICAOF", b"127.0.0.1", b"1")
    with pytest.raises(StoreRefused, match="primary"):
        await durability(parse(own_store.url))


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"redis_version": "6.2.14"}, "6.2.14; 7.0 or newer"),
        ({"redis_version": "7.2.4", "cluster_enabled": "1"}, "part of a cluster"),
    ],
)
def test_a_store_that_this_hub_does_not_speak_to_is_refused(info: dict[str, str], words: str) -> None:
    with pytest.raises(StoreRefused, match=words):
        judge(info, {}, store_replicas=0)


async def test_a_store_that_will_not_tell_is_unverified(own_store, ask) -> None:
    await ask(own_store.url, b"ACL", b"SETUSER", b"hub", b"on", b">secret", b"~*", b"&*", b"+@all", b"-config")
    found = await durability(parse(own_store.url.replace("unix://", "unix://hub:secret@")))
    assert found.unverified
    assert "unverified" in found.sentence
    assert found.policy == "noeviction", "INFO tells as much"


async def test_a_login_that_is_not_accepted_is_named_without_the_password(own_store, ask) -> None:
    url = own_store.url.replace("unix://", "unix://hub:hunter2@")
    with pytest.raises(StoreUnavailable, match="refused_login") as caught:
        await durability(parse(url))
    assert "hunter2" not in repr(caught.value)


async def test_a_store_that_is_away_is_unavailable(tmp_path) -> None:
    with pytest.raises(StoreUnavailable):
        await durability(parse(f"unix://{tmp_path}/nothing"))


async def test_missing_replicas_are_reported(own_store) -> None:
    found = await durability(parse(own_store.url), store_replicas=1)
    assert "Only 0 are connected, so nothing can be acknowledged." in found.sentence


async def test_a_store_belongs_to_the_first_hub_that_claims_it(store: Store) -> None:
    await claim_hub(store, bytes(32))
    await claim_hub(store, bytes(32))
    with pytest.raises(StoreRefused, match="another key"):
        await claim_hub(store, bytes([1]) * 32)
    with pytest.raises(ValueError, match="32 bytes"):
        await claim_hub(store, b"short")
