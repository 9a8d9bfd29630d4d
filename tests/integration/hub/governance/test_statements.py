"""Publishing statements: which of them count, who may say them, and who hears of them."""

import itertools
import os

from tests.integration.hub.conftest import Ask, Links, StartNode
from tests.integration.hub.device import DeviceLink, SigningDevice

from muster_hub.node.node import Node
from muster_hub.store import keys
from muster_protocol.frames import (
    MAX_PAGE,
    CardReply,
    Error,
    GetCard,
    ListStatements,
    Ok,
    PutStatement,
    Reply,
    StatementPush,
    Statements,
)
from muster_protocol.governance import Trust, Untrust
from muster_protocol.ids import GrantId, Serial
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.serials import MAX_AHEAD_MS
from muster_protocol.signed import Signed, read, sign

Statement = tuple[Kind, Signed]


def reason(reply: Reply) -> Reason | None:
    if isinstance(reply, Ok):
        return None
    assert isinstance(reply, Error)
    return reply.reason


async def own(link: DeviceLink) -> list[Statement]:
    page = await link.ask(ListStatements(id=0, after=0), Statements)
    assert not page.more
    return [(one.kind, one.statement) for one in page.statements]


async def own_in_pages(link: DeviceLink) -> list[Statement]:
    found: list[Statement] = []
    more = True
    while more:
        page = await link.ask(ListStatements(id=0, after=len(found)), Statements)
        found += [(one.kind, one.statement) for one in page.statements]
        more = page.more
    return found


def trust_with_serial(
    device: SigningDevice, peer: SigningDevice, serial: int, fingerprint: bytes | None = None
) -> Statement:
    body = Trust(
        client=device.client,
        serial=Serial(serial),
        peer=peer.client,
        peer_key=fingerprint or peer.fingerprint,  # type: ignore[arg-type]
    )
    return Kind.TRUST, device.sign(body)


async def test_the_newer_statement_counts_and_an_older_one_is_told(node: Node) -> None:
    device, peer = SigningDevice(), SigningDevice()
    older, newer = device.trust(peer), device.untrust(peer)
    async with device.connect(node.url) as link:
        assert reason(await link.put(newer)) is None
        assert reason(await link.put(older)) is Reason.REPLAYED
        assert (Kind.UNTRUST, newer[1]) in await own(link)
        assert older not in await own(link)


async def test_the_same_statement_again_is_done(node: Node) -> None:
    device, peer = SigningDevice(), SigningDevice()
    async with device.connect(node.url) as link:
        for statement in (device.trust(peer), device.grant(peer)):
            assert reason(await link.put(statement)) is None
            assert reason(await link.put(statement)) is None


async def test_one_serial_over_two_bodies_is_a_mismatch_and_all_end_alike(node: Node) -> None:
    held = []
    first, second = os.urandom(32), os.urandom(32)
    device, peer = SigningDevice(), SigningDevice()
    for order in ((first, second), (second, first)):
        copy = SigningDevice()
        copy.key, copy.genesis, copy.client = device.key, device.genesis, device.client
        other = SigningDevice()
        serial = int(device.next_serial())
        statements = [trust_with_serial(copy, peer if order[0] == first else other, serial, key) for key in order]
        async with copy.connect(node.url) as link:
            assert [reason(await link.put(one)) for one in statements] == [None, Reason.MISMATCH]
            trusts = [read(signed, Trust) for kind, signed in await own(link) if kind is Kind.TRUST]
            held.append([body for body in trusts if body.serial == serial])
    assert all(len(found) == 1 for found in held)


async def test_a_statement_of_another_device_is_refused(node: Node) -> None:
    device, other = SigningDevice(), SigningDevice()
    async with device.connect(node.url) as link:
        assert reason(await link.put(other.trust(device))) is Reason.MISMATCH
        # Signed by the caller, about itself as somebody else.
        forged = Trust(client=other.client, serial=Serial(5), peer=device.client, peer_key=device.fingerprint)
        assert reason(await link.put((Kind.TRUST, sign(forged, device.key)))) is Reason.MISMATCH
        assert await own(link) == []


async def test_a_signature_is_checked(node: Node) -> None:
    device = SigningDevice()
    kind, signed = device.trust(SigningDevice())
    async with device.connect(node.url) as link:
        flipped = bytes([signed.signature[0] ^ 1]) + signed.signature[1:]
        forged = Signed(signed.body, signed.signer, flipped)  # type: ignore[arg-type]
        assert reason(await link.put((kind, forged))) is Reason.BAD_SIGNATURE


async def test_a_statement_under_another_kind_is_refused(node: Node) -> None:
    device, peer = SigningDevice(), SigningDevice()
    _, untrust = device.untrust(peer)
    async with device.connect(node.url) as link:
        assert reason(await link.put((Kind.TRUST, untrust))) is Reason.BAD_SIGNATURE


async def test_a_device_cannot_trust_itself(node: Node) -> None:
    device = SigningDevice()
    async with device.connect(node.url) as link:
        assert reason(await link.put(device.trust(device))) is Reason.SELF_TARGET


async def test_an_untrust_ends_the_grant_in_whatever_order_they_come(node: Node, ask_store: Ask) -> None:
    """Serials decide: trust, grant, untrust, trust again; the grant stays ended."""
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (3, 1, 2, 0), (1, 3, 0, 2)):
        device, peer = SigningDevice(), SigningDevice()
        said = [device.trust(peer), device.grant(peer), device.untrust(peer), device.trust(peer)]
        async with device.connect(node.url) as link:
            for index in order:
                assert reason(await link.put(said[index])) in {None, Reason.REPLAYED}
            kinds = [kind for kind, _ in await own(link)]
            assert Kind.GRANT not in kinds
            assert said[3] in await own(link)


async def test_a_revocation_takes_the_grants_place(node: Node) -> None:
    device, peer = SigningDevice(), SigningDevice()
    grant_id = GrantId(os.urandom(16))
    grant = device.grant(peer, grant=grant_id)
    async with device.connect(node.url) as link:
        for statement in (device.trust(peer), grant):
            assert reason(await link.put(statement)) is None
        revocation = device.revocation(peer, grant_id)
        assert reason(await link.put(revocation)) is None
        assert reason(await link.put(grant)) is Reason.REPLAYED
        assert revocation in await own(link)
        assert grant not in await own(link)


async def test_what_restricts_raises_ver_and_what_widens_does_not(node: Node, ask_store: Ask) -> None:
    device, peer = SigningDevice(), SigningDevice()

    async def ver() -> int:
        found = await ask_store(node, b"HGET", keys.device(device.client), b"ver")
        assert isinstance(found, bytes)
        return int(found)

    async with device.connect(node.url) as link:
        vers = [await ver()]
        for statement in (
            device.trust(peer),  # widens
            device.grant(peer),  # widens
            device.grant(peer),  # takes a grant's place
            device.trust(peer, SigningDevice().fingerprint),  # another key
            device.untrust(peer),
        ):
            assert reason(await link.put(statement)) is None
            vers.append(await ver())
    rises = [later > earlier for earlier, later in itertools.pairwise(vers)]
    assert rises == [False, False, True, True, True]


async def test_the_newest_serial_is_told_at_the_next_connect(node: Node) -> None:
    device = SigningDevice()
    async with device.connect(node.url) as link:
        await link.put(device.trust(SigningDevice()))
        kind, last = device.trust(SigningDevice())
        await link.put((kind, last))
    async with device.connect(node.url) as link:
        assert link.welcome.newest_serial == read(last, Trust).serial


async def test_the_number_of_changes_rises_with_each_statement_taken_and_no_other(node: Node) -> None:
    """Also with one whose serial is far below the newest."""
    device, peer = SigningDevice(), SigningDevice()
    numbers = []
    first, low = device.trust(peer), trust_with_serial(device, SigningDevice(), 1)
    for statement in (
        None,
        first,
        low,
        low,
        trust_with_serial(device, peer, 2),
        device.grant(peer),
        device.untrust(peer),
    ):
        async with device.connect(node.url) as link:
            if statement is not None:
                await link.put(statement)
        async with device.connect(node.url) as link:
            numbers.append(link.welcome.changes)
    assert numbers[0] == 0
    assert [later > earlier for earlier, later in itertools.pairwise(numbers)] == [True, True, False, False, True, True]


async def test_statements_under_one_serial_all_come(node: Node) -> None:
    device = SigningDevice()
    async with device.connect(node.url) as link:
        said = [trust_with_serial(device, SigningDevice(), 7) for _ in range(MAX_PAGE + 8)]
        for statement in said:
            assert reason(await link.put(statement)) is None
        found = await own_in_pages(link)
        assert sorted(signed.body for kind, signed in found if kind is Kind.TRUST) == sorted(
            signed.body for _, signed in said
        )


async def test_only_a_restriction_is_taken_a_day_ahead_and_it_moves_no_counter(node: Node) -> None:
    device, peer = SigningDevice(), SigningDevice()
    async with device.connect(node.url) as link:
        trusted = device.trust(peer)
        assert reason(await link.put(trusted)) is None
        device.serial += 3 * MAX_AHEAD_MS
        refused = await link.put(device.trust(peer))
        assert isinstance(refused, Error)
        assert refused.reason is Reason.CLOCK_AHEAD
        assert "the hub's clock says" in (refused.detail or "")
        assert reason(await link.put(device.grant(peer))) is Reason.CLOCK_AHEAD
        assert reason(await link.put((Kind.CARD, device.card(new=True)))) is Reason.CLOCK_AHEAD
        untrust = device.untrust(peer)
        assert reason(await link.put(untrust)) is None
        assert untrust in await own(link)
    device._card = None
    device.serial -= 3 * MAX_AHEAD_MS
    async with device.connect(node.url) as link:
        assert link.welcome.newest_serial < untrust_serial(untrust)


def untrust_serial(statement: Statement) -> Serial:
    return read(statement[1], Untrust).serial


async def test_many_statements_come_in_pages_lowest_serial_first(node: Node) -> None:
    device = SigningDevice()
    async with device.connect(node.url) as link:
        said = [device.trust(SigningDevice()) for _ in range(70)]
        for statement in said:
            assert reason(await link.put(statement)) is None
        assert [one for one in await own_in_pages(link) if one[0] is Kind.TRUST] == said


async def test_a_card_is_shown_to_those_whom_its_device_trusts(node: Node, links: Links) -> None:
    one, other = SigningDevice(), SigningDevice()
    link = await links.enter_async_context(one.connect(node.url))
    asking = await links.enter_async_context(other.connect(node.url))
    stranger = await asking.ask_any(GetCard(id=0, client=one.client))
    absent = await asking.ask_any(GetCard(id=0, client=SigningDevice().client))
    assert reason(stranger) is reason(absent) is Reason.NOT_MUTUALLY_TRUSTED
    await link.put(one.trust(other))
    assert (await asking.ask(GetCard(id=0, client=one.client), CardReply)).card == one.card()
    newer = one.card(new=True)
    assert reason(await link.ask_any(PutStatement(id=0, kind=Kind.CARD, statement=newer))) is None
    assert (await asking.ask(GetCard(id=0, client=one.client), CardReply)).card == newer


async def test_devices_that_trust_each_other_are_notified_of_changes(start_node: StartNode) -> None:
    """Also on another node; and no other device does."""
    near, far = await start_node("one"), await start_node("two")
    one, other, third = SigningDevice(), SigningDevice(), SigningDevice()
    async with (
        one.connect(near.url) as link,
        other.connect(far.url) as hearing,
        third.connect(near.url) as unsubscribed,
    ):
        await unsubscribed.put(third.trust(one))
        await hearing.put(other.trust(one))
        trust = one.trust(other)
        await link.put(trust)
        push = await hearing.next_push(StatementPush)
        assert (push.client, push.kind, push.statement) == (one.client, *trust)
        grant = one.grant(other)
        await link.put(grant)
        assert (await hearing.next_push(StatementPush)).statement == grant[1]
        card = one.card(new=True)
        await link.ask_any(PutStatement(id=0, kind=Kind.CARD, statement=card))
        assert (await hearing.next_push(StatementPush)).statement == card
        assert unsubscribed.waiting(StatementPush) == []


async def test_a_superseded_connection_puts_nothing(node: Node, ask_store: Ask) -> None:
    """Its entry is gone from the store, and the store is who decides."""
    device = SigningDevice()
    async with device.connect(node.url) as link:
        number = str(link.welcome.connection).encode()
        await ask_store(node, b"HDEL", keys.instances(device.client), number)
        assert reason(await link.put(device.trust(SigningDevice()))) is Reason.SUPERSEDED
