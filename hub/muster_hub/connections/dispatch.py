"""From a message's bytes to its use case, and from each outcome of it to exactly one reply."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

import structlog

from muster_hub.context import NodeContext
from muster_hub.costs import cost
from muster_hub.presence.watches import PresenceWatches
from muster_hub.routing.caller import Caller
from muster_hub.store.errors import StoreUnavailable
from muster_hub.telemetry.faults import fault_fields
from muster_protocol.codec import unpack
from muster_protocol.connect import Role
from muster_protocol.errors import Refused
from muster_protocol.frames import AGENT_REQUESTS, Error, Reply, Request, Who, decode_frame
from muster_protocol.ids import MAX_TIME_MS
from muster_protocol.reasons import Reason

STORE_RETRY_AFTER_MS = 1_000

UseCase: TypeAlias = Callable[[NodeContext, Caller, Any], Coroutine[None, None, Reply]]
"""A use case takes its own kind of request; the table pairs the two."""

_log = structlog.get_logger(__name__)


class Dispatch:
    """The use cases by the request that they serve."""

    __slots__ = ("_context", "_use_cases", "_watches")

    def __init__(
        self,
        context: NodeContext,
        use_cases: Mapping[type[Request], UseCase],
        watches: PresenceWatches,
    ) -> None:
        self._context = context
        self._watches = watches
        self._use_cases = use_cases

    async def answer(self, caller: Caller, data: bytes) -> Reply:
        """Answer one message; raises nothing except on cancellation."""
        try:
            return await self._serve(caller, self._read(data))
        except Refused as refused:
            return Error(
                re=_number(data), reason=refused.reason, detail=refused.detail, retry_after_ms=refused.retry_after_ms
            )
        except StoreUnavailable as error:
            _log.info("request_without_store", client=caller.client[:8], cause=error.cause)
            return self._without_store(data, error.reason)
        except Exception as exc:  # noqa: BLE001 - one request must not end the others; the log says what happened
            _log.error("request_failed", client=caller.client[:8], **fault_fields(exc))
            return Error(re=_number(data), reason=Reason.INTERNAL)

    def answer_without_store(self, caller: Caller, data: bytes) -> Reply:
        """Answer one message while the store is away: ``who`` as ``unknown``, all others with an error."""
        try:
            request = self._read(data)
        except Refused as refused:
            return Error(re=_number(data), reason=refused.reason, detail=refused.detail)
        if isinstance(request, Who):
            return self._watches.last_known(caller, request)
        return self._without_store(data, Reason.STORE_UNAVAILABLE)

    def _without_store(self, data: bytes, reason: Reason) -> Reply:
        return Error(re=_number(data), reason=reason, retry_after_ms=STORE_RETRY_AFTER_MS)

    def _read(self, data: bytes) -> Request:
        frame = decode_frame(data)
        if not isinstance(frame, Request) or type(frame) not in self._use_cases:
            raise Refused(Reason.UNSUPPORTED, "not a request")
        return frame

    async def _serve(self, caller: Caller, request: Request) -> Reply:
        wait_ms = self._context.wait_ms(caller.client, cost(request))
        if wait_ms:
            return Error(re=request.id, reason=Reason.RATE_LIMITED, retry_after_ms=wait_ms)
        if caller.role is not Role.AGENT and type(request) in AGENT_REQUESTS:
            raise Refused(Reason.SUPERSEDED, "only the device's agent may ask this")
        return await self._use_cases[type(request)](self._context, caller, request)


def _number(data: bytes) -> int:
    """Return the number of a request that was not served, as far as it can be read; else 0."""
    try:
        value = unpack(data)
    except Refused:
        return 0
    number = value.get("id") if isinstance(value, dict) else None
    return number if type(number) is int and 0 <= number <= MAX_TIME_MS else 0
