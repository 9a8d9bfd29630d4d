"""The examination of the way to the hub: proxy, name, port, TLS, the hub's first message, a proven connection."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

from muster_client.connection.hub import Hub, Shown, show_hub
from muster_client.connection.proxy import proxy_for, shown
from muster_client.connection.transport import PeerCertificate
from muster_client.device.device import Device
from muster_client.device.hub_address import DEFAULT_PORTS
from muster_client.doctor.findings import Finding, Health, fail, ok, warn
from muster_client.doctor.next_steps import MAKE_ROOM, NEXT_STEPS, claimed, cut, with_addresses
from muster_client.errors import DataNotWritten, HubError, HubKeyChanged, HubRefused, NoReply, Trouble
from muster_protocol.closes import NextTry
from muster_protocol.connect import PROTOCOL
from muster_protocol.errors import Refused
from muster_protocol.frames import Challenge
from muster_protocol.hub_keys import follow_hub_key
from muster_protocol.reasons import REASONS, Reason
from muster_protocol.words import words

STEP_TIMEOUT_S = 5.0
"""How long each step may take."""
ROUND_TRIPS = 3
SLOW_S = 1.0
"""A round trip that people notice."""
CLOCK_WARN_MS, CLOCK_FAIL_MS = 10_000, 300_000
"""How far this device's clock may be off: grants are dated by it, and checked by the hub's."""
EXPIRES_SOON_S = 14 * 24 * 3600
_MS_PER_DAY = 24 * 3600 * 1000
_PEER = "the other device"
_SET_CLOCK = "Have a time service (NTP) set this machine's clock; if it is right, tell the hub's operator."

_CHECK_OF = {
    Trouble.HUB_NAME_UNKNOWN: "dns",
    Trouble.PROXY_FAILED: "proxy",
    Trouble.HUB_REDIRECTS: "hub",
    Trouble.NOT_A_HUB: "hub",
    Trouble.REPLY_UNREADABLE: "hub",
    Trouble.HUB_UNREACHABLE: "hub",
}
"""The check that reports each trouble; all others are about TLS."""


async def examine_hub(device: Device) -> AsyncIterator[Finding]:
    """Yield the findings on the way to each address of the device's hub, up to the first step that fails there."""
    reached = False
    for address in device.addresses:
        if len(device.addresses) > 1:
            yield ok("address", address.url)
        passes = True
        async for finding in _examine(device, address.url):
            # A clock that is wrong does not keep the device from the hub.
            passes = passes and (finding.state is not Health.FAIL or finding.check == "clock")
            yield finding
        reached = reached or passes
    if reached:
        async for finding in _proven(device):
            yield finding


async def _examine(device: Device, url: str) -> AsyncIterator[Finding]:
    try:
        async for finding in _way(url):
            yield finding
            if finding.state is Health.FAIL:
                return
        seen = await show_hub(device, url, timeout_s=STEP_TIMEOUT_S)
    except NoReply as error:
        yield _unreachable(error)
        return
    except HubKeyChanged:
        yield _another_key()
        return
    for finding in _first_words(device, url, seen):
        yield finding
        if finding.check in {"hub", "hub_key"} and finding.state is Health.FAIL:
            return


async def _way(url: str) -> AsyncIterator[Finding]:
    """Examine what lies under TLS. A proxy looks up the hub's name and dials it itself.

    Raises ``HubUnreachable`` if the environment's value for a proxy is not a proxy.
    """
    proxy = proxy_for(url)
    target = proxy or url
    parts = urlsplit(target)
    port = parts.port or {**DEFAULT_PORTS, "https": 443, "http": 80}.get(parts.scheme, 1080)
    host = parts.hostname or ""
    if proxy is None:
        yield ok("proxy", "none: the hub is dialled directly")
    else:
        yield ok("proxy", f"{shown(proxy)}, by this shell's environment; a service has one of its own")
    whose, step = host, NEXT_STEPS[Trouble.HUB_NAME_UNKNOWN]
    if proxy is not None:
        whose, step = f"the proxy {host}", NEXT_STEPS[Trouble.PROXY_FAILED]
    try:
        async with asyncio.timeout(STEP_TIMEOUT_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, TimeoutError):
        yield fail("dns", f"The name of {whose} is not known.", step)
        return
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    yield ok("dns", f"{host} is {', '.join(addresses)}")
    yield await _tcp(host, port, whose, proxied=proxy is not None)


async def _tcp(host: str, port: int, whose: str, *, proxied: bool) -> Finding:
    try:
        async with asyncio.timeout(STEP_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        why = "nothing listens there" if isinstance(error, ConnectionRefusedError) else "no answer"
        step = NEXT_STEPS[Trouble.PROXY_FAILED if proxied else Trouble.HUB_UNREACHABLE]
        return fail("tcp", f"Port {port} of {whose} cannot be reached: {why}.", step)
    writer.close()
    return ok("tcp", f"port {port} of {whose} answers")


def _unreachable(error: NoReply) -> Finding:
    check = _CHECK_OF.get(error.trouble, "tls")
    said = str(error).rstrip(".")
    return fail(check, f"{said[:1].upper()}{said[1:]}.", NEXT_STEPS[error.trouble])


def _first_words(device: Device, url: str, seen: Shown) -> Iterator[Finding]:
    if seen.certificate is None:
        yield ok("tls", f"none, as {url} says: this is for hubs on this machine")
    else:
        yield _certificate(device, seen.certificate)
    yield _versions(seen.challenge)
    yield _key(device, seen.challenge)
    yield _clock(device.clock() - seen.challenge.at)


def _certificate(device: Device, found: PeerCertificate) -> Finding:
    if found.expires_s is None:
        return ok("tls", f"{found.version}, by the hub's own key, which this device pinned; no authority is asked")
    left_s = found.expires_s - device.clock() / 1000
    days = int(left_s // (24 * 3600))
    whose = "the authority that this device was given" if device.authority else "an authority that the system knows"
    if left_s < EXPIRES_SOON_S:
        return warn(
            "tls",
            f"The hub's certificate (issuer {found.issuer}) expires in {days} days.",
            "Tell the hub's operator, unless it is renewed by itself.",
        )
    return ok("tls", f"{found.version}, issuer {found.issuer}, by {whose}; expires in {days} days")


def _versions(challenge: Challenge) -> Finding:
    spoken = challenge.protocol
    said = f"speaks protocol {spoken.low} to {spoken.high}, this device {PROTOCOL.low} to {PROTOCOL.high}"
    if spoken.highest_common(PROTOCOL) is None:
        newer = "this machine" if spoken.low > PROTOCOL.high else "the hub"
        return fail("hub", f"The hub {said}: there is no common version.", f"Update Muster on {newer}.")
    return ok("hub", said)


def _key(device: Device, challenge: Challenge) -> Finding:
    pinned = device.pinned_hub
    try:
        key = follow_hub_key(challenge.hub_key, challenge.hub_rotations, pinned)
    except Refused:
        return _another_key()
    said = " ".join(words(key.fingerprint))
    if pinned is None:
        return ok("hub_key", f"pinned now, at the first meeting: {said}")
    return ok("hub_key", f"{'a new one, certified by the pinned one' if key.followed else 'the pinned one'}: {said}")


def _another_key() -> Finding:
    reason = REASONS[Reason.HUB_KEY_CHANGED]
    return fail("hub_key", reason.sentence, reason.next_step)


def _clock(ahead_ms: int) -> Finding:
    """Compare this device's clock with the hub's, which is unsigned. Only a person can say which one is wrong."""
    size = abs(ahead_ms)
    if size < CLOCK_WARN_MS:
        return ok("clock", f"within {max(1, -(-size // 1000))} s of the hub's")
    amount = f"{size // _MS_PER_DAY} days" if size >= 2 * _MS_PER_DAY else f"{size // 1000} s"
    said = f"This device's clock is {amount} {'ahead of' if ahead_ms > 0 else 'behind'} the hub's."
    return (fail if size >= CLOCK_FAIL_MS else warn)("clock", said, _SET_CLOCK)


async def _proven(device: Device) -> AsyncIterator[Finding]:
    try:
        async with Hub.connect(device, timeout_s=STEP_TIMEOUT_S) as hub:
            standing = hub.welcome.standing
            if standing is None:
                yield ok("welcome", "the hub and this device proved who they are")
            else:
                yield warn("welcome", *claimed(standing, _PEER))
            yield _round_trip(min([await hub.round_trip_s(STEP_TIMEOUT_S) for _ in range(ROUND_TRIPS)]))
            yield ok("keep_alive", f"the hub pings after {hub.welcome.keep_alive_ms / 1000:.0f} s of silence")
    except HubRefused as refused:
        yield fail("welcome", *_refusal(refused))
    except DataNotWritten as error:
        sentence, step = cut(error)
        yield fail("welcome", f"What the hub said could not be kept. {sentence}", step or MAKE_ROOM)
    except HubError as error:
        yield fail("welcome", f"The hub did not finish: {error}.", "Try again; if it persists, see the hub's log.")


def _refusal(refused: HubRefused) -> tuple[str, str]:
    """Return what the hub says; it is a fact where the pinned hub's signature stops this device for good."""
    if refused.next_try is NextTry.NEVER:
        return REASONS[refused.reason].sentence, REASONS[refused.reason].next_step
    sentence, step = claimed(refused.reason, _PEER)
    return with_addresses(sentence, refused), step


def _round_trip(took_s: float) -> Finding:
    said = f"{took_s * 1000:.1f} ms"
    if took_s < SLOW_S:
        return ok("round_trip", said)
    return warn("round_trip", f"A round trip to the hub takes {said}.", "Try a hub that is nearer, or another network.")
