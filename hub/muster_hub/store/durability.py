"""What a store keeps after a failure, in words, and which hub it belongs to."""

import asyncio
from dataclasses import dataclass

from muster_hub.store.adapter import CALL_TIMEOUT_S, Store
from muster_hub.store.engine import OLDEST
from muster_hub.store.errors import StoreCause, StoreRefused, StoreReplyError, StoreUnavailable
from muster_hub.store.keys import HUB
from muster_hub.store.scripts import script
from muster_hub.store.steps import attempt
from muster_hub.store.urls import SETTING, Address
from muster_hub.store.wire import ErrorReply, Reply, Wire, WireLostError, pack
from muster_protocol.ids import FINGERPRINT_BYTES

NOEVICTION = "noeviction"
_CLAIM = script("claim_hub")
_ANOTHER_HUB = "another_hub"
_UNKNOWN = ""  # a value that the store does not tell


@dataclass(frozen=True, slots=True)
class Durability:
    """The durability of a store. ``unverified`` when the store does not tell all of it; ``sentence`` is for people."""

    version: str
    appendfsync: str
    policy: str
    replicas: int
    unverified: bool
    sentence: str


async def durability(address: Address, *, store_replicas: int = 0) -> Durability:
    """Ask a store for its durability.

    Raises ``StoreRefused`` when it is older than 7.0, evicts keys when its memory is full, or spreads its keys over a
    cluster; ``StoreUnavailable`` when it does not answer within CALL_TIMEOUT_S.
    """
    wire = Wire(address)
    try:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            await wire.connect()
            info = await _info(wire)
            config = await _config(wire)
    except WireLostError as error:
        raise StoreUnavailable(error.cause, outcome_unknown=False) from error
    except TimeoutError:
        raise StoreUnavailable(StoreCause.TIMEOUT, outcome_unknown=False) from None
    finally:
        await wire.close()
    return judge(info, config, store_replicas=store_replicas)


def judge(info: dict[str, str], config: dict[str, str], *, store_replicas: int) -> Durability:
    """Derive the durability from INFO and CONFIG; CONFIG is empty where the store does not show it."""
    version = info.get("valkey_version") or info.get("redis_version", _UNKNOWN)
    policy = config.get("maxmemory-policy") or info.get("maxmemory_policy", _UNKNOWN)
    appendonly = config.get("appendonly") or {"1": "yes", "0": "no"}.get(info.get("aof_enabled", _UNKNOWN), _UNKNOWN)
    appendfsync = "off" if appendonly == "no" else config.get("appendfsync", _UNKNOWN)
    _refuse(version, policy, info)
    replicas = int(info.get("connected_slaves", "0"))
    sentences = [_disk_sentence(appendfsync), _failover_sentence(replicas, store_replicas)]
    return Durability(
        version=version,
        appendfsync=appendfsync,
        policy=policy,
        replicas=replicas,
        unverified=not (version and policy and appendfsync),
        sentence=" ".join(filter(None, sentences)),
    )


async def claim_hub(store: Store, fingerprint: bytes) -> None:
    """Record that the store belongs to this hub, by the fingerprint of its key (32 bytes).

    Raises ``StoreRefused`` when it is another hub's; ``StoreUnavailable`` when it does not answer; ``ValueError`` for
    another length.
    """
    if len(fingerprint) != FINGERPRINT_BYTES:
        raise ValueError(f"a fingerprint has {FINGERPRINT_BYTES} bytes")
    try:
        await attempt(store, _CLAIM, [HUB], fingerprint)
    except StoreReplyError as refusal:
        if refusal.word != _ANOTHER_HUB:
            raise
        raise StoreRefused(
            SETTING, "this store belongs to a hub with another key; give this hub that key file, or a store of its own"
        ) from None


def _refuse(version: str, policy: str, info: dict[str, str]) -> None:
    if version and tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        raise StoreRefused(SETTING, f"the server is {version}; 7.0 or newer is needed")
    if policy not in {NOEVICTION, _UNKNOWN}:
        raise StoreRefused(SETTING, f"maxmemory-policy is {policy}, which evicts keys; set it to {NOEVICTION}")
    if info.get("cluster_enabled") == "1":
        raise StoreRefused(SETTING, "the server is part of a cluster, which this hub cannot use; name a single server")
    if info.get("role") == "slave":
        raise StoreRefused(SETTING, "the server is a replica; name its primary")


def _disk_sentence(appendfsync: str) -> str:
    match appendfsync:
        case "always":
            return "What is acknowledged is on the store's disk."
        case "everysec":
            return "If the store's machine fails, the last second of what was acknowledged can be lost."
        case "no":
            return "If the store's machine fails, up to about half a minute of what was acknowledged is lost."
        case "off":
            return "The store writes no log (appendonly no): when it ends, changes since its last snapshot are lost."
        case _:
            return "The store does not tell how it writes to disk: unverified."


def _failover_sentence(replicas: int, store_replicas: int) -> str:
    if store_replicas:
        known = f"{store_replicas} replica{'s' if store_replicas > 1 else ''}"
        missing = (
            "" if replicas >= store_replicas else f" Only {replicas} are connected, so nothing can be acknowledged."
        )
        return f"It is also known to {known} before that.{missing}"
    if replicas:
        return "A failover to a replica can lose what was acknowledged just before (store_replicas is 0)."
    return ""


async def _info(wire: Wire) -> dict[str, str]:
    reply = await wire.ask(b"INFO")
    if not isinstance(reply, bytes):
        raise WireLostError(StoreCause.LOST, "INFO")
    lines = (line.partition(":") for line in reply.decode(errors="replace").splitlines())
    return {name: value.strip() for name, colon, value in lines if colon}


async def _config(wire: Wire) -> dict[str, str]:
    """Return the settings that matter, none where the store does not allow CONFIG to this user."""
    await wire.send([pack(b"CONFIG", b"GET", b"append*", b"maxmemory-policy")])
    reply = await wire.receive()
    return {} if isinstance(reply, ErrorReply) else _pairs(reply)


def _pairs(reply: Reply) -> dict[str, str]:
    words = [word.decode() for word in reply if isinstance(word, bytes)] if isinstance(reply, list) else []
    return dict(zip(words[::2], words[1::2], strict=True))
