"""Making a session: everything that this device can check is checked before the hub hears of it."""

import os
import re
from collections.abc import Sequence

from muster_client.device.decisions import Intent
from muster_client.errors import HubRefused, InvalidRequest, NotTrusted, Obstacle, SessionRefused
from muster_client.sessions.context import SessionContext, fresh_epoch_key
from muster_client.sessions.hosted import HostedSession
from muster_protocol.calls import Plan
from muster_protocol.cards import Mode
from muster_protocol.frames import MAX_SESSION_MS, MAX_TARGETS, CreateSession, Ok, Purpose, SessionKind
from muster_protocol.ids import ClientId, Seed
from muster_protocol.inviting import Inviting
from muster_protocol.reasons import REASONS, Category, Reason, Sayer

DEFAULT_SESSION_MS = 24 * 3600 * 1000
"""How long a session may last unless told otherwise."""
SEED_BYTES = 16

_PROFILE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_CLIENT = re.compile(r"[a-z2-7]{32}")


async def create_session(
    context: SessionContext,
    targets: Sequence[ClientId],
    *,
    mode: Mode,
    profile: str | None,
    kind: SessionKind,
    purpose: Purpose,
    lasts_ms: int,
) -> HostedSession:
    """Make a session with its creator alone in it.

    Raises ``InvalidRequest``; ``NotTrusted`` where a target is not trusted, and then none is made; ``SessionRefused``
    with the hub's reason; ``HubUnreachable``.
    """
    check_request(context.device.client, targets, profile, lasts_ms)
    _check_trust(context, Intent(tuple(targets), mode, profile, kind, purpose))
    await context.link.in_step()
    device, now = context.device, context.now()
    plan = Plan(device.client, Seed(os.urandom(SEED_BYTES)), mode, profile, kind, device.settings.protocol)
    machine = Inviting(device.key, plan)
    epoch = machine.begin(fresh_epoch_key(), now)
    request = CreateSession(
        id=0,
        session=plan.session,
        seed=plan.seed,
        mode=mode,
        profile=profile,
        kind=kind,
        lasts_ms=lasts_ms,
        epoch=epoch,
    )
    try:
        await context.link.ask(request, Ok)
    except HubRefused as refused:
        raise SessionRefused(refused.reason, Sayer.HUB, refused.detail) from None
    machine.committed(now)
    return HostedSession(context, machine, created_at=now, lasts_ms=lasts_ms)


def check_request(me: ClientId, targets: Sequence[ClientId], profile: str | None, lasts_ms: int) -> None:
    """Check a request by itself; raises ``InvalidRequest``."""
    if not targets:
        raise InvalidRequest(Reason.EMPTY_TARGETS)
    if len(targets) > MAX_TARGETS:
        raise InvalidRequest(Reason.TOO_MANY_TARGETS, f"at most {MAX_TARGETS}")
    for target in targets:
        if _CLIENT.fullmatch(target) is None:
            raise InvalidRequest(Reason.MALFORMED, "a target is a whole ClientId")
        if target == me:
            raise InvalidRequest(Reason.SELF_TARGET, peer=target)
        if targets.count(target) > 1:
            raise InvalidRequest(Reason.DUPLICATE_TARGET, peer=target)
    if profile is not None and _PROFILE.fullmatch(profile) is None:
        raise InvalidRequest(Reason.MALFORMED, "a profile has 1 to 64 of a-z, 0-9, dot, dash and underscore")
    if not 0 < lasts_ms <= MAX_SESSION_MS:
        raise InvalidRequest(Reason.MALFORMED, "a session lasts 7 days at most")


def _check_trust(context: SessionContext, intent: Intent) -> None:
    # A grant that is missing stands in the way of one call; who is not trusted, of the session itself.
    reasons = {target: context.device.decide_outgoing(intent, target).reason for target in intent.targets}
    obstacles = [
        Obstacle(target, reason, Sayer.DEVICE)
        for target, reason in reasons.items()
        if reason is not None and REASONS[reason].category is Category.TRUST
    ]
    if obstacles:
        raise NotTrusted(obstacles)
