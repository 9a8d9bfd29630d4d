"""How the creator of a session admits the devices that accepted: each time with a new epoch (SPEC.md section 7)."""

from collections.abc import Collection, Mapping

from muster_client.connection.tries import OUTCOME_OPEN
from muster_client.errors import HubRefused, HubUnreachable, NoReply
from muster_client.sessions.context import SessionContext, fresh_epoch_key
from muster_protocol.calls import Admissions
from muster_protocol.epochs import epoch_hash
from muster_protocol.frames import Admit, Admitted, GetSession, SealedFor, SessionReply
from muster_protocol.ids import ClientId
from muster_protocol.inviting import Inviting
from muster_protocol.reasons import Reason

MAX_ADMITTED_AT_ONCE = 8
"""New members in one epoch: their admissions fit into one message with room to spare."""

FIRST_OPEN = frozenset({Reason.STORE_UNAVAILABLE, Reason.INTERNAL})
"""Errors after which the hub may have committed an epoch that was sent once."""


class Admitting:
    """The next epoch of one session, on its way to the hub."""

    def __init__(self, context: SessionContext, machine: Inviting) -> None:
        self._context = context
        self._machine = machine

    async def step(self) -> tuple[ClientId, ...] | None:
        """Have the hub commit the next epoch and return whom it admitted, if anyone.

        None: no epoch is due, or the hub is away. If its reply is lost or leaves the outcome open, the next step sends
        the same epoch again, which has one effect; or it asks what the hub committed, where this device would not make
        that epoch any more.
        """
        machine, now = self._machine, self._context.now()
        repeated = bool(machine.newcomers)
        sending = machine.again(now) if repeated else machine.admit(fresh_epoch_key(), now)
        newcomers, before = machine.newcomers, machine.epoch.hash
        if not newcomers:
            return None
        unknown = OUTCOME_OPEN if repeated else FIRST_OPEN
        try:
            await (self._ask_what_was_committed() if sending is None else self._commit(sending, unknown))
        except NoReply:
            machine.unanswered(self._context.now())
            return None
        return () if machine.epoch.hash == before else newcomers

    async def _commit(self, new: Admissions, unknown: Collection[Reason]) -> None:
        rejected = await self._rejected(new, unknown)
        if rejected:
            self._machine.rejected(rejected, self._context.now())
        else:
            self._machine.committed(self._context.now())

    async def _rejected(self, new: Admissions, unknown: Collection[Reason]) -> Mapping[ClientId, Reason]:
        """Return the reasons for which the hub rejected the epoch, by device; none where it committed it.

        Raises ``NoReply``, also for an error after which the outcome is ``unknown``.
        """
        request = Admit(
            id=0,
            session=self._machine.plan.session,
            epoch=new.epoch,
            sealed=tuple(SealedFor(client, sealed) for client, sealed in new.sealed),
            admissions=tuple(admission for _, admission in new.admissions),
        )
        try:
            reply = await self._context.link.ask(request, Admitted, self._check)
        except HubRefused as refused:
            if refused.reason in unknown:
                raise HubUnreachable(f"the hub may have committed the epoch: {refused.reason}") from None
            return dict.fromkeys((client for client, _ in new.admissions), refused.reason)
        return {one.client: one.reason or Reason.INTERNAL for one in reply.rejected}

    def _check(self) -> None:
        """Raise ``NoReply`` where this device would not make the epoch any more; then it asks what became of it."""
        if self._machine.again(self._context.now()) is None:
            raise NoReply("this device would not make the epoch any more")

    async def _ask_what_was_committed(self) -> None:
        known = self._machine.epoch.epoch.number
        request = GetSession(id=0, session=self._machine.plan.session, after=known)
        try:
            reply = await self._context.link.ask(request, SessionReply)
        except HubRefused as refused:
            raise HubUnreachable(f"the hub does not show the session: {refused.reason}") from None
        self._machine.shown({epoch_hash(signed) for signed in reply.epochs}, self._context.now())
