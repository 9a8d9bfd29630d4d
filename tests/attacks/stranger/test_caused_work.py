"""A stranger that lets the hub do much work by few requests, and the honest device that needs the same requests."""

from collections import Counter
from collections.abc import Callable

import pytest
from tests.integration.hub.conftest import Eventually, StartNode
from tests.integration.hub.desk import Desk
from tests.integration.hub.device import DeviceLink, SigningDevice
from tests.integration.hub.stage import Actor, actor, befriend

from muster_hub.node.node import Tuning
from muster_hub.presence import watches
from muster_hub.presence.watches import PresenceWatches
from muster_hub.rate_limits.costs import (
    INVITE,
    KEPT,
    LISTED,
    LOOKUP,
    PAGE,
    PUSH,
    REQUEST_RATE,
    SIGNATURE,
    WRITE,
    cost,
)
from muster_hub.rate_limits.spending import Payer, Spending
from muster_hub.rate_limits.token_bucket import Rate
from muster_hub.routing.caller import Caller
from muster_hub.store.adapter import Store
from muster_hub.store.errors import StoreCause, StoreUnavailable
from muster_protocol.connect import Role
from muster_protocol.frames import (
    MAX_NAMED,
    MAX_SESSIONS_LISTED,
    MAX_WATCHED,
    Admit,
    CancelInvite,
    Error,
    GetSession,
    ListSessions,
    ListStatements,
    Ok,
    PresenceReply,
    PutStatement,
    Request,
    SealedFor,
    SendInvites,
    SendLeave,
    SessionsReply,
    Statements,
    Watch,
    Who,
)
from muster_protocol.ids import ClientId, Fingerprint, InviteId, SessionId, Signature
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed

BURST = 400
ONCE = Tuning(request_rate=Rate(per_s=0.001, burst=BURST))
"""A burst of which nothing comes back while a test runs, so that all the work is counted that it allows."""
FREE = Tuning(request_rate=Rate(per_s=1e9, burst=1e9))
PEERS = 200
ROUNDS = 5


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count, by asker, how many devices are read in the store for another one; facts are read for no asker."""
    counted: Counter[str] = Counter()
    begin = Store.begin

    def counting(self: Store, script, keys, args=(), **named):
        if script.name in {"look", "facts"}:
            counted[args[0] if script.name == "look" else "facts"] += 1
        return begin(self, script, keys, args, **named)

    monkeypatch.setattr(Store, "begin", counting)
    return counted


def made_up(count: int) -> tuple[ClientId, ...]:
    return tuple(SigningDevice().client for _ in range(count))


async def until_refused(link: DeviceLink, request: Callable[[], Request]) -> int:
    """Ask until the hub refuses; return how often it served."""
    for served in range(BURST + 1):
        reply = await link.ask_any(request())
        if isinstance(reply, Error) and reply.reason is Reason.RATE_LIMITED:
            assert reply.retry_after_ms
            return served
    raise AssertionError("never refused")


async def trusting(link: DeviceLink, count: int) -> None:
    for _ in range(count):
        assert isinstance(await link.put(link.device.trust(SigningDevice())), Ok)


@pytest.mark.parametrize("request_type", [Who, Watch])
async def test_lookups_are_paid_one_by_one(
    start_node: StartNode, looks: Counter[str], request_type: type[Who | Watch]
) -> None:
    node, stranger = await start_node(tuning=ONCE), SigningDevice()
    named = made_up(MAX_WATCHED)
    async with stranger.connect(node.url) as link:
        assert await until_refused(link, lambda: request_type(id=0, clients=named))
    assert MAX_WATCHED <= looks[stranger.client] <= BURST / LOOKUP


async def test_a_renewed_watch_is_paid_again(
    start_node: StartNode, looks: Counter[str], eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "RENEW_EVERY_S", 0.0)
    monkeypatch.setattr(watches, "PUSH_EVERY_S", 0.01)
    node, stranger, other = await start_node(tuning=ONCE), SigningDevice(), SigningDevice()
    named = made_up(MAX_WATCHED)
    async with stranger.connect(node.url) as first, stranger.connect(node.url, role=Role.CLI) as second:
        for link in (first, second):
            await link.ask(Watch(id=0, clients=named), PresenceReply)
        async with other.connect(node.url) as link:
            await link.ask(Watch(id=0, clients=named[:1]), PresenceReply)
            await eventually(lambda: looks[stranger.client] > (BURST / LOOKUP) - 2 * MAX_WATCHED)
            before = looks[other.client]
            await eventually(lambda: looks[other.client] >= before + ROUNDS)
        assert looks[stranger.client] <= BURST / LOOKUP


async def test_a_watch_begun_without_the_store_looks_again_for_its_own_connection_alone(
    start_node: StartNode, looks: Counter[str], eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "RENEW_EVERY_S", 3600.0)
    monkeypatch.setattr(watches, "PUSH_EVERY_S", 0.01)
    node, stranger, other = await start_node(), SigningDevice(), SigningDevice()
    named = made_up(1)

    async def without_store(store: Store, caller: Caller) -> None:
        if caller.client == stranger.client:
            raise StoreUnavailable(StoreCause.TIMEOUT, outcome_unknown=False)

    async with other.connect(node.url) as first, stranger.connect(node.url) as second:
        await first.ask(Watch(id=0, clients=named), PresenceReply)
        monkeypatch.setattr(watches, "check_current", without_store)
        for _ in range(ROUNDS):
            looks[stranger.client] = 0
            await second.ask(Watch(id=0, clients=named), PresenceReply)
            await eventually(lambda: looks[stranger.client])
    assert looks[other.client] == 1


async def test_a_statement_said_again_lets_no_watch_look_again(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: Counter[ClientId] = Counter()
    changed = PresenceWatches.changed

    def counting(self: PresenceWatches, client: ClientId) -> None:
        told[client] += 1
        changed(self, client)

    node, stranger, accomplice = await start_node(), SigningDevice(), SigningDevice()
    async with accomplice.connect(node.url) as first, stranger.connect(node.url) as second:
        await first.put(accomplice.trust(stranger))
        monkeypatch.setattr(PresenceWatches, "changed", counting)
        for statement in (stranger.trust(accomplice), stranger.untrust(accomplice)):
            told.clear()
            for _ in range(ROUNDS):
                assert isinstance(await second.put(statement), Ok)
                assert told[stranger.client] == 1  # said for the first time, and never again


async def test_a_new_card_is_paid_by_the_peers_to_whom_it_is_pushed(start_node: StartNode, looks: Counter[str]) -> None:
    free, node, stranger = await start_node("one", FREE), await start_node("two", ONCE), SigningDevice()
    async with stranger.connect(free.url) as link:
        await trusting(link, PEERS)
    looks.clear()
    async with stranger.connect(node.url) as link:

        def new_card() -> Request:
            return PutStatement(id=0, kind=Kind.CARD, statement=stranger.card(new=True))

        served = await until_refused(link, new_card)
    assert looks[stranger.client] == served * PEERS <= BURST / LOOKUP


async def test_invites_to_devices_that_do_not_exist_are_paid_one_by_one(
    start_node: StartNode, looks: Counter[str]
) -> None:
    node = await start_node(tuning=ONCE)
    stranger = SigningDevice()
    async with stranger.connect(node.url) as link:
        await trusting(link, 1)
        caller = Actor(stranger, link)
        await caller.create()
        signed = tuple(caller.invite(SigningDevice()) for _ in range(MAX_NAMED))
        session = caller.session
        assert await until_refused(link, lambda: SendInvites(id=0, session=session, invites=signed))
    assert MAX_NAMED <= looks["facts"] <= 2 * BURST / INVITE


async def test_a_device_with_many_peers_starts_again_without_a_wait(start_node: StartNode) -> None:
    free, node, device = await start_node("one", FREE), await start_node("two"), SigningDevice()
    assert node._tuning.request_rate == REQUEST_RATE
    async with device.connect(free.url) as link:
        await trusting(link, PEERS)
    named = made_up(PEERS)
    async with device.connect(node.url) as link:
        await link.ask(ListStatements(id=0, after=0), Statements)
        await link.ask(PutStatement(id=0, kind=Kind.CARD, statement=device.card(new=True)), Ok)
        await link.ask(Watch(id=0, clients=named), PresenceReply)
        await link.ask(Who(id=0, clients=named), PresenceReply)
        await link.ask(ListSessions(id=0), SessionsReply)


@pytest.fixture
def charged(monkeypatch: pytest.MonkeyPatch) -> Counter[ClientId]:
    """Count the units that are taken from each device for its requests, without those for the bytes of a message."""
    counted: Counter[ClientId] = Counter()
    charge = Spending.charge

    def charging(self: Spending, payer: Payer, units: float) -> None:
        counted[payer.client] += units  # type: ignore[assignment]
        charge(self, payer, units)

    monkeypatch.setattr(Spending, "charge", charging)
    return counted


async def test_a_list_of_sessions_reads_a_page_and_is_paid_by_what_it_reads(
    desk: Desk, charged: Counter[ClientId]
) -> None:
    stranger = await actor(desk)
    await befriend(stranger, await actor(desk))
    created = sorted([await stranger.create() for _ in range(2 * MAX_SESSIONS_LISTED)])
    after: SessionId | None = None
    for expected, read in (
        (created[:MAX_SESSIONS_LISTED], MAX_SESSIONS_LISTED + 1),
        (created[MAX_SESSIONS_LISTED:], MAX_SESSIONS_LISTED),
    ):
        charged.clear()
        desk.store.calls.clear()
        page = await stranger.ask(ListSessions(id=1, after=after), SessionsReply)
        assert [one.session for one in page.sessions] == expected
        assert page.more == (after is None)
        assert desk.store.calls.count("session_state") == read
        assert charged[stranger.client] == LISTED * read
        after = page.sessions[-1].session


def test_requests_that_read_and_push_are_paid() -> None:
    session, client = SessionId("s" * 32), ClientId("c" * 32)
    assert cost(GetSession(id=1, session=session, after=0)) >= PAGE
    assert cost(CancelInvite(id=1, session=session, client=client, invite=InviteId(bytes(16)))) >= WRITE + PUSH


def test_the_signature_of_a_departure_is_paid() -> None:
    signed = Signed(b"", Fingerprint(bytes(32)), Signature(bytes(64)))
    assert cost(SendLeave(id=1, leave=signed)) >= SIGNATURE + WRITE


def test_an_admission_is_paid_by_each_member_that_it_keeps() -> None:
    signed = Signed(b"", Fingerprint(bytes(32)), Signature(bytes(64)))
    kept = SealedFor(ClientId("c" * 32), bytes(1168))
    first, second = (
        Admit(id=1, session=SessionId("s" * 32), epoch=signed, sealed=sealed, admissions=())
        for sealed in ((kept,), (kept, kept))
    )
    assert cost(second) - cost(first) == KEPT
