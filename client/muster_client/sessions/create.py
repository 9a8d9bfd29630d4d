"""How a session is created: this device checks all that it can before it asks the hub."""

import os

from muster_client.device.session_request import SessionRequest
from muster_client.errors import HubBusy, HubRefused, SessionRefused
from muster_client.sessions.context import SessionContext, fresh_epoch_key
from muster_client.sessions.hosted import HostedSession
from muster_protocol.calls import Plan
from muster_protocol.frames import CreateSession, Ok
from muster_protocol.ids import RANDOM_ID_BYTES, Seed
from muster_protocol.inviting import Inviting
from muster_protocol.reasons import Sayer


async def create_session(context: SessionContext, wanted: SessionRequest) -> HostedSession:
    """Create a session with its creator as the only member.

    Raises ``InvalidRequest``; ``NotTrusted`` where a target is not trusted; ``SessionRefused`` with the hub's reason;
    ``NoReply``. After the first two the hub knows nothing of the request.
    """
    context.device.check_request(wanted)
    await context.link.in_step()
    device, now = context.device, context.now()
    seed = Seed(os.urandom(RANDOM_ID_BYTES))
    plan = Plan(device.client, seed, wanted.mode, wanted.profile, wanted.kind, device.settings.protocol)
    machine = Inviting(device.key, plan, context.own)
    epoch = machine.begin(fresh_epoch_key(), now)
    request = CreateSession(
        id=0,
        session=plan.session,
        seed=plan.seed,
        mode=wanted.mode,
        profile=wanted.profile,
        kind=wanted.kind,
        lasts_ms=wanted.lasts_ms,
        epoch=epoch,
    )
    try:
        await context.link.ask(request, Ok)
    except (HubRefused, HubBusy) as refused:
        raise SessionRefused(refused.reason, Sayer.HUB, refused.detail) from None
    machine.committed(now)
    return HostedSession(context, machine, created_at=now, lasts_ms=wanted.lasts_ms)
