"""From a message's bytes to its use case, and from each outcome of it to exactly one reply."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

import structlog

from muster_hub.context import NodeContext
from muster_hub.presence.watches import PresenceWatches
from muster_hub.rate_limits.costs import arrival_cost, cost, kept_bytes, restricts
from muster_hub.routing.caller import Caller
from muster_hub.store.errors import StoreUnavailable
from muster_hub.telemetry.faults import fault_fields
from muster_protocol.connect import Role
from muster_protocol.errors import Refused
from muster_protocol.frames import AGENT_REQUESTS, Error, Frame, FrameRefused, Reply, Request, Who, decode_frame
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
        """Answer one message, which its device has paid for; raises nothing except on cancellation."""
        number = 0
        try:
            frame = decode_frame(data)
            number = _number(frame)
            return await self._serve(caller, self._served(frame), len(data))
        except Refused as refused:
            return _error(number, refused)
        except StoreUnavailable as error:
            _log.info("request_without_store", client=caller.client[:8], cause=error.cause)
            return _without_store(number, error.reason)
        except Exception as exc:  # noqa: BLE001 - one request must not end the others; the log says what happened
            _log.error("request_failed", client=caller.client[:8], **fault_fields(exc))
            return Error(re=number, reason=Reason.INTERNAL)

    def answer_without_store(self, caller: Caller, data: bytes) -> Reply:
        """Answer one message while the store is away: ``who`` as ``unknown``, all others with an error."""
        number = 0
        try:
            frame = decode_frame(data)
            number = _number(frame)
            request = self._served(frame)
        except Refused as refused:
            return _error(number, refused)
        if isinstance(request, Who):
            return self._watches.last_known(caller, request)
        return _without_store(number, Reason.STORE_UNAVAILABLE)

    def _served(self, frame: Frame) -> Request:
        if not isinstance(frame, Request) or type(frame) not in self._use_cases:
            raise Refused(Reason.UNSUPPORTED, "not a request")
        return frame

    async def _serve(self, caller: Caller, request: Request, size: int) -> Reply:
        asking, kept = arrival_cost(size), kept_bytes(request, size)
        payer = caller.payer.alone() if restricts(request) else caller.payer
        wait_ms = self._context.wait_ms(payer, cost(request), asking=asking, kept=kept)
        if wait_ms:
            return Error(re=request.id, reason=Reason.RATE_LIMITED, retry_after_ms=wait_ms)
        if caller.role is not Role.AGENT and type(request) in AGENT_REQUESTS:
            raise Refused(Reason.SUPERSEDED, "only the device's agent may ask this")
        return await self._use_cases[type(request)](self._context, caller, request)


def _number(frame: Frame) -> int:
    return frame.id if isinstance(frame, Request) else 0


def _error(number: int, refused: Refused) -> Error:
    """Return the reply to a request that was refused, with its number as far as it can be read; else 0."""
    if isinstance(refused, FrameRefused):
        number = refused.number("id")
    return Error(re=number, reason=refused.reason, detail=refused.detail, retry_after_ms=refused.retry_after_ms)


def _without_store(number: int, reason: Reason) -> Error:
    return Error(re=number, reason=reason, retry_after_ms=STORE_RETRY_AFTER_MS)
