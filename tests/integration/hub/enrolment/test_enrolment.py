"""Who comes in where a hub takes only the devices that it knows (SPEC.md section 4.6)."""

import os

import pytest
import pytest_asyncio
from tests.integration.hub.conftest import Ask, StartNode
from tests.integration.hub.device import DeviceLink, RefusedByHubError, SigningDevice

from muster_hub.enrolment.codes import make_code
from muster_hub.enrolment.devices import enrol, enrolled_devices, unenrol
from muster_hub.node.node import Node
from muster_hub.store import keys
from muster_hub.store.rows import CodeRow, pack, read
from muster_protocol.closes import CloseCode
from muster_protocol.frames import CodeReply, Error, MakeCode
from muster_protocol.ids import EnrolmentCode, TimeMs
from muster_protocol.reasons import Reason


@pytest_asyncio.fixture
async def invited(start_node: StartNode) -> Node:
    return await start_node(enrolment="invited")


async def refusal(node: Node, device: SigningDevice, code: EnrolmentCode | None = None) -> Reason:
    with pytest.raises(RefusedByHubError) as refused:
        async with device.connect(node.url, enrolment=code):
            pass
    assert refused.value.refused.code == CloseCode.NOT_ENROLLED
    return refused.value.refused.reason


async def enter(node: Node, device: SigningDevice, code: EnrolmentCode | None = None) -> None:
    async with device.connect(node.url, enrolment=code):
        pass


async def made(link: DeviceLink) -> EnrolmentCode | Reason:
    reply = await link.ask_any(MakeCode(id=0))
    if isinstance(reply, Error):
        return reply.reason
    assert isinstance(reply, CodeReply)
    return reply.code


async def everything(node: Node, ask_store: Ask) -> object:
    """Return all keys of the store, but the lease that the node renews."""
    found = await ask_store(node, b"KEYS", b"*")
    assert isinstance(found, list)
    return sorted(key for key in found if key != keys.LEASES)


async def test_a_device_that_is_not_enrolled_leaves_nothing_in_the_store(invited: Node, ask_store: Ask) -> None:
    before = await everything(invited, ask_store)
    stranger = SigningDevice()
    assert await refusal(invited, stranger) is Reason.NOT_ENROLLED
    assert await refusal(invited, stranger, EnrolmentCode(os.urandom(10))) is Reason.NOT_ENROLLED
    assert await everything(invited, ask_store) == before


async def test_a_code_enrols_one_device_for_good(invited: Node) -> None:
    code, _ = await make_code(invited.context.store)
    device = SigningDevice()
    await enter(invited, device, code)
    await enter(invited, device)
    assert [each.client for each in await enrolled_devices(invited.context.store)] == [device.client]


async def test_an_enrolment_outlives_a_rotation_of_the_key(invited: Node) -> None:
    device = SigningDevice()
    await enrol(invited.context.store, device.client)
    await enter(invited, device)
    device.rotate()
    await enter(invited, device)


async def test_a_code_is_good_again_for_its_device_and_for_no_other(invited: Node) -> None:
    code, _ = await make_code(invited.context.store)
    device = SigningDevice()
    await enter(invited, device, code)
    await enter(invited, device, code)
    assert await refusal(invited, SigningDevice(), code) is Reason.CODE_USED


async def test_a_code_ends_after_a_day(invited: Node, ask_store: Ask) -> None:
    code, _ = await make_code(invited.context.store)
    await _age(invited, ask_store, keys.CODE_MS)
    assert await refusal(invited, SigningDevice(), code) is Reason.CODE_EXPIRED


async def _age(node: Node, ask_store: Ask, by_ms: int) -> None:
    """Let the only code be older, as the store has it."""
    held = await ask_store(node, b"HGETALL", keys.CODES)
    assert isinstance(held, list)
    digest, data = held
    row = read(data, CodeRow)
    older = CodeRow(TimeMs(row.made_ms - by_ms), row.by, row.used_by)
    await ask_store(node, b"HSET", keys.CODES, digest, pack(older))


async def test_an_enrolled_device_makes_ten_codes_a_day(invited: Node) -> None:
    host = SigningDevice()
    await enrol(invited.context.store, host.client)
    async with host.connect(invited.url) as link:
        codes = [await made(link) for _ in range(keys.MAX_CODES_A_DAY + 1)]
    assert codes[-1] is Reason.RATE_LIMITED
    assert isinstance(codes[0], bytes)
    guest = SigningDevice()
    await enter(invited, guest, codes[0])
    found = {each.client: each.by for each in await enrolled_devices(invited.context.store)}
    assert found == {host.client: "", guest.client: host.client}


async def test_the_operator_has_a_hundred_unused_codes(invited: Node) -> None:
    store = invited.context.store
    code, *_ = [(await make_code(store))[0] for _ in range(keys.MAX_CODES)]
    with pytest.raises(Exception, match="too many invitations"):
        await make_code(store)
    await enter(invited, SigningDevice(), code)
    await make_code(store)


async def test_the_end_of_an_enrolment_closes_the_device_on_every_node(start_node: StartNode) -> None:
    one, two = await start_node("one", enrolment="invited"), await start_node("two", enrolment="invited")
    device = SigningDevice()
    await enrol(one.context.store, device.client)
    async with device.connect(two.url) as link:
        assert await unenrol(one.context, device.client)
        assert await link.closed() == CloseCode.NOT_ENROLLED
    assert await refusal(one, device) is Reason.NOT_ENROLLED


async def test_the_codes_of_a_device_end_with_its_enrolment(invited: Node) -> None:
    host = SigningDevice()
    await enrol(invited.context.store, host.client)
    async with host.connect(invited.url) as link:
        code = await made(link)
    assert isinstance(code, bytes)
    await unenrol(invited.context, host.client)
    assert await refusal(invited, SigningDevice(), code) is Reason.NOT_ENROLLED


async def test_no_code_enrols_where_devices_are_listed(start_node: StartNode) -> None:
    listed = await start_node(enrolment="listed")
    code, _ = await make_code(listed.context.store)
    device = SigningDevice()
    assert await refusal(listed, device, code) is Reason.NOT_ENROLLED
    await enrol(listed.context.store, device.client)
    async with device.connect(listed.url) as link:
        assert await made(link) is Reason.UNSUPPORTED


async def test_an_open_hub_takes_every_device_and_makes_no_codes(node: Node) -> None:
    async with SigningDevice().connect(node.url, enrolment=EnrolmentCode(bytes(10))) as link:
        assert await made(link) is Reason.UNSUPPORTED
