"""The table of what a stranger may use, in hub/README.md: each of its limits is met by filling it."""

import asyncio
import time
from collections.abc import Callable
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.unit.hub.silent_socket import SilentSocket

from muster_hub.config.certificate import CURVE_COSTS, handshake_cost
from muster_hub.config.settings import Settings
from muster_hub.connections.handshake_queue import SIGNATURES_PER_TURN, HandshakeQueue, HandshakeRefused
from muster_hub.listener import ListenerSettings
from muster_hub.listener.gate import AddressCount, Gate
from muster_hub.listener.intake import Intake, IntakeVerdict
from muster_hub.listener.settings import IDLE_FRAME, SOCKET
from muster_hub.presence.lookup import Asker, Observation, hidden
from muster_hub.presence.watch_table import DeviceWatch, WatchTable
from muster_hub.rate_limits.spending import Payer, Spending
from muster_hub.rate_limits.token_bucket import Rate
from muster_protocol import cards
from muster_protocol.checks import CheckResults
from muster_protocol.ids import ClientId, Fingerprint

README = Path(__file__).parents[3] / "hub" / "README.md"
HEAD = "| what a stranger may use | limit | bytes | CPU |"
MANY = 100_000
KIB = 1_024
DAY_S = 86_400.0
PAYER = Payer(ClientId("c" * 32), "one")
PLACES = Settings(data_dir=Path()).max_entering


def table() -> dict[str, int]:
    lines = README.read_text().partition(HEAD + "\n")[2].partition("\n\n")[0].splitlines()[1:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: int(limit.replace(",", "")) for name, limit, _, _ in rows}


def filled(once_more: Callable[[int], bool]) -> int:
    """Count how often something is allowed before it is refused."""
    return next(number for number in count() if number == MANY or not once_more(number))


def gate() -> Gate:
    return Gate(ListenerSettings().per_address(Settings(data_dir=Path()).max_per_address))


def sockets() -> int:
    full = gate()
    return filled(lambda number: full.enter(f"address {number}", SilentSocket()) is AddressCount.ADMITTED)


def sockets_of_one_address() -> int:
    full = gate()
    return filled(lambda _: full.enter("one", SilentSocket()) is AddressCount.ADMITTED)


def refusals() -> int:
    full = gate()
    while full.enter("one", SilentSocket()) is AddressCount.ADMITTED:
        pass
    return 1 + filled(
        lambda _: full.enter("one", SilentSocket()) is AddressCount.REFUSED
    )  # the first one ended the loop


def signatures_at_once() -> int:
    full = gate()
    return filled(lambda _: full.charge("one", 1, 0.0) == 0)


def signatures_a_second() -> int:
    full = gate()
    filled(lambda _: full.charge("one", 1, 0.0) == 0)
    return filled(lambda _: full.charge("one", 1, 1.0) == 0)


RSA_4096 = handshake_cost(rsa.RSAPublicNumbers(65_537, 2**4_095 + 1).public_key())


def came_and_went(full: Gate, units: float, now_s: float) -> bool:
    """Count a socket that causes so much beside what each does, until it ends; return whether it was admitted."""
    socket = SilentSocket()
    if full.enter_paid("one", socket, SOCKET + units, now_s) is not AddressCount.ADMITTED:
        return False
    full.leave_unauthenticated("one", socket)
    return True


def sockets_at_once(units: float = 0) -> int:
    full = gate()
    return filled(lambda _: came_and_went(full, units, 0.0))


def sockets_a_second(units: float = 0) -> int:
    full = gate()
    filled(lambda _: came_and_went(full, 0, 0.0))
    return filled(lambda _: came_and_went(full, units, 1.0))


def idle_frames(at_s: float, until: IntakeVerdict) -> int:
    """Return how many frames that end no message are read of one connection at that time; all of the burst before."""
    limits = ListenerSettings()
    full = Intake(limits.frame_rate, limits.byte_rate, 0.0)
    if at_s:
        filled(lambda _: full.charge(IDLE_FRAME, 6, 0.0) is IntakeVerdict.FREE)
        full.charge(-IDLE_FRAME, 0, 0.0)
    return filled(lambda _: full.charge(IDLE_FRAME, 6, at_s) is not until)


def watched_of_one_address() -> int:
    table = WatchTable()

    def watch(number: int) -> bool:
        seen = [Observation(hidden(ClientId(f"{number:032}")))]
        one = DeviceWatch(Asker(PAYER.client, Fingerprint(bytes(32))), number, seen, "one")
        if table.has_room(one):
            table.add(one)
            return True
        return False

    return filled(watch)


def spending() -> Spending:
    settings = Settings(data_dir=Path())
    return Spending(
        Rate(1e9, 1e9), units_per_address=settings.units_per_address, mib_per_address=settings.store_mib_per_address
    )


def units_at_once(monkeypatch: pytest.MonkeyPatch) -> int:
    full = spending()
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    return filled(lambda _: full.wait_ms(PAYER, 1) == 0)


def units_a_second(monkeypatch: pytest.MonkeyPatch) -> int:
    full = spending()
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    filled(lambda _: full.wait_ms(PAYER, 1) == 0)
    monkeypatch.setattr(time, "monotonic", lambda: 1.0)
    return filled(lambda _: full.wait_ms(PAYER, 1) == 0)


def kib_at_once(monkeypatch: pytest.MonkeyPatch) -> int:
    full = spending()
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    return filled(lambda _: full.wait_ms(PAYER, 0, kept=KIB) == 0)


def kib_a_day(monkeypatch: pytest.MonkeyPatch) -> int:
    full = spending()
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    filled(lambda _: full.wait_ms(PAYER, 0, kept=KIB) == 0)
    monkeypatch.setattr(time, "monotonic", lambda: DAY_S)
    return filled(lambda _: full.wait_ms(PAYER, 0, kept=KIB) == 0)


def addresses() -> int:
    full = gate()
    for number in range(MANY):
        full.charge(f"address {number}", 1, 0.0)
    return len(full._work._buckets)


def places_of_one_address() -> int:
    full = gate()
    return filled(lambda _: full.take_place("one"))


def mebibytes(limit: int) -> int:
    full: CheckResults[bytes] = CheckResults(limit)
    for number in range(MANY):
        full.put(sha256(b"%d" % number).digest(), b"")
    return round(full._bytes / 2**20)


async def handshakes() -> tuple[int, int]:
    """Return how many hold a place and how many wait, when the next one is refused."""
    queue, inside, refused, done = HandshakeQueue(PLACES), 0, asyncio.Event(), asyncio.Event()

    async def come() -> None:
        nonlocal inside
        try:
            async with queue.place():
                inside += 1
                await done.wait()
        except HandshakeRefused:
            refused.set()

    async with asyncio.TaskGroup() as group:
        while not refused.is_set():
            group.create_task(come())
            await asyncio.sleep(0)
        found = inside, queue.waiting
        done.set()
    return found


async def signatures_in_a_turn() -> int:
    queue, checked, most = HandshakeQueue(PLACES), 0, 0

    async def check() -> None:
        nonlocal checked
        await queue.turn(1)
        checked += 1

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(check()) for _ in range(3 * SIGNATURES_PER_TURN)]
        while not all(task.done() for task in tasks):
            before = checked
            await asyncio.sleep(0)
            most = max(most, checked - before)
    return most


async def test_each_limit_is_where_the_table_says(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way, waiting = await handshakes()
    in_a_turn = await signatures_in_a_turn()
    assert table() == {
        "unauthenticated sockets": sockets(),
        "unauthenticated sockets of one address": sockets_of_one_address(),
        "sockets that wait for a 503": refusals(),
        "signature checks at once for one address": signatures_at_once(),
        "signature checks a second for one address": signatures_a_second(),
        "sockets at once for one address": sockets_at_once(),
        "sockets a second for one address": sockets_a_second(),
        "TLS handshakes at once for one address, with a P-256 key": sockets_at_once(CURVE_COSTS[256]),
        "TLS handshakes a second for one address, with a P-256 key": sockets_a_second(CURVE_COSTS[256]),
        "TLS handshakes at once for one address, with an RSA key of 4,096 bits": sockets_at_once(RSA_4096),
        "TLS handshakes a second for one address, with an RSA key of 4,096 bits": sockets_a_second(RSA_4096),
        "pings at once of one connection": idle_frames(0.0, IntakeVerdict.OWING),
        "pings a second of one connection": idle_frames(1.0, IntakeVerdict.OWING),
        "pings in one read of one connection": idle_frames(0.0, IntakeVerdict.ABUSED),
        "watched devices of one address": watched_of_one_address(),
        "signature checks in one turn of the event loop": in_a_turn,
        "units at once of all devices of one address": units_at_once(monkeypatch),
        "units a second of all devices of one address": units_a_second(monkeypatch),
        "KiB left at once by all devices of one address": kib_at_once(monkeypatch),
        "KiB left a day by all devices of one address": kib_a_day(monkeypatch),
        "addresses whose allowance is remembered": addresses(),
        "handshakes under way": under_way,
        "handshakes that wait for a place": waiting,
        "results of card signatures, in MiB": mebibytes(cards.CARD_RESULTS_BYTES),
        "results of chains of keys, in MiB": mebibytes(cards.CHAIN_RESULTS_BYTES),
        "authenticated connections of one address": places_of_one_address(),
    }
