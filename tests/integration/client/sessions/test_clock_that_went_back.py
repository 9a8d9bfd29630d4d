"""A device that starts with a clock that says 1970: it connects, says what is wrong, and joins nothing by itself."""

from tests.integration.client.conftest import befriend, settled, until

from muster_client import Device, Hub, SessionRequest
from muster_client.device.clock import now_ms
from muster_client.events import ClockBehind, Progress
from muster_protocol.ids import TimeMs
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason, Sayer


async def test_a_device_in_1970_connects_and_says_that_its_grants_do_not_count(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    async with Hub.connect(nas):
        pass
    now: list[TimeMs] = []
    with Device.open(nas.path, clock=lambda: now[0] if now else now_ms()) as restarted:
        now.append(TimeMs(0))
        called = await open_agent(restarted)
        events = called.events()
        caller = await open_agent(laptop)
        session = await caller.start_session(SessionRequest((nas.client,)))
        target = (await settled(session))[nas.client]
        assert (target.state, target.reason, target.sayer) == (Progress.REFUSED, Reason.CLOCK_BEHIND, Sayer.PEER)
        # What it takes back is taken by the hub all the same.
        restarted.peers.revoke(laptop.client)
        assert [(one.kind, one.reason) for one in await called.publish()] == [(Kind.REVOCATION, None)]
        await called._link.refresh()
        await until(events, ClockBehind)
        now[0] = now_ms()
        restarted.peers.grant(laptop.client)
        await called.publish()
        session = await caller.start_session(SessionRequest((nas.client,)))
        assert (await settled(session))[nas.client].state is Progress.JOINED
