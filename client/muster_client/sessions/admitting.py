"""How the creator of a session admits the devices that accepted: each time with a new epoch (SPEC.md section 7)."""

from collections.abc import Mapping

from muster_client.errors import HubRefused, HubUnreachable
from muster_client.sessions.context import SessionContext, fresh_epoch_key
from muster_protocol.calls import Admissions
from muster_protocol.frames import Admit, Admitted, SealedFor
from muster_protocol.ids import ClientId
from muster_protocol.inviting import Inviting
from muster_protocol.reasons import Reason

MAX_ADMITTED_AT_ONCE = 8
"""New members in one epoch: their admissions fit into one message with room to spare."""


class Admitting:
    """The next epoch of one session, on its way to the hub."""

    def __init__(self, context: SessionContext, machine: Inviting) -> None:
        self._context = context
        self._machine = machine
        self._pending: Admissions | None = None

    def concerns(self, client: ClientId) -> bool:
        """Return whether the epoch on its way admits this device."""
        return self._pending is not None and client in dict(self._pending.admissions)

    async def step(self) -> tuple[ClientId, ...] | None:
        """Have the hub commit the next epoch and return whom it admitted, if anyone.

        None: no epoch is due, or the hub is away. If its reply is lost, the next step sends the same epoch again, which
        has one effect.
        """
        self._pending = self._pending or self._machine.admit(fresh_epoch_key(), self._context.now())
        if self._pending is None:
            return None
        try:
            rejected = await self._commit(self._pending)
        except HubUnreachable:
            return None
        pending, self._pending = self._pending, None
        if rejected:
            self._machine.rejected(rejected, self._context.now())
            return ()
        self._machine.committed(self._context.now())
        return tuple(client for client, _ in pending.admissions)

    async def _commit(self, new: Admissions) -> Mapping[ClientId, Reason]:
        """Return the reasons for which the hub rejected the epoch, by device; none where it committed it."""
        plan = self._machine.plan
        request = Admit(
            id=0,
            session=plan.session,
            epoch=new.epoch,
            sealed=tuple(SealedFor(client, sealed) for client, sealed in new.sealed),
            admissions=tuple(admission for _, admission in new.admissions),
        )
        try:
            reply = await self._context.link.ask(request, Admitted)
        except HubRefused as refused:
            return dict.fromkeys((client for client, _ in new.admissions), refused.reason)
        return {one.client: one.reason or Reason.JOIN_FAILED for one in reply.rejected}
