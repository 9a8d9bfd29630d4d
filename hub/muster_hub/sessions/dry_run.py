"""The dry run of an invite: the decision that the hub would take now, check by check."""

from muster_hub.context import NodeContext
from muster_hub.routing.caller import Caller
from muster_hub.sessions.facts import DeviceFacts, is_online, read_facts
from muster_protocol.decision import Call, Party, decide
from muster_protocol.errors import Refused
from muster_protocol.frames import MAX_TARGETS, DecisionReply, SessionKind, Why
from muster_protocol.reasons import Reason


async def why(context: NodeContext, caller: Caller, request: Why) -> DecisionReply:
    """Return whether ``creator`` could call ``target`` now.

    Of a device that does not trust the asker's current key, only that enters the answer. Raises ``Refused(mismatch)``
    unless the asker is one of the two, ``StoreUnavailable``.
    """
    if caller.client not in (request.creator, request.target):
        raise Refused(Reason.MISMATCH, "the asker must be the creator or the target")
    facts = await read_facts(context, {request.creator: [request.target], request.target: [request.creator]})
    call = Call(
        creator=request.creator,
        target=request.target,
        targets=(request.target,),
        members=(),
        kind=SessionKind.STAR,
        mode=request.mode,
        profile=request.profile,
        purpose=request.purpose,
        room=MAX_TARGETS,
    )
    parties = {client: _seen_by(context, caller, each) for client, each in facts.items()}
    decision = decide(call, parties, context.clock.now_ms())
    return DecisionReply(re=request.id, reason=decision.reason, trace=decision.trace)


def _seen_by(context: NodeContext, caller: Caller, facts: DeviceFacts) -> Party:
    """Return a device as the caller may see it: all of a device that trusts it, else what that one pinned of it."""
    pin = facts.pins.get(caller.client)
    if facts.client != caller.client and pin != caller.fingerprint:
        pins = {} if pin is None else {caller.client: pin}
        return Party(facts.client, pins=pins, grants={}, online=False)
    return facts.party(online=is_online(context, facts))
