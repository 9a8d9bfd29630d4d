"""A device whose peer changed its card while it was away: the push of the new one was lost (SPEC.md section 1.5)."""

from msgspec.structs import replace
from tests.integration.client.conftest import befriend, settled

from muster_client import Agent, Device, SessionRequest
from muster_client.events import Progress


async def _connected_alone(device: Device) -> None:
    async with Agent.open(device) as agent:
        await agent.connected()


async def test_devices_that_missed_each_others_new_card_still_call_each_other(make_device) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    for app in ("muster", "photos"):
        for device in (laptop, nas):
            device.configure(replace(device.settings, app=app))
            await _connected_alone(device)
        async with Agent.open(nas) as called, Agent.open(laptop) as caller:
            await called.connected()
            await caller.connected()
            session = await caller.start_session(SessionRequest((nas.client,)))
            assert (await settled(session))[nas.client].state is Progress.JOINED
