"""Joins: ask the session for answered invites, hold, decide, commit, settle (SPEC.md section 7.4).

No device is touched that is neither a member of this session nor accepted a live invite to it. The facts come from each
party's slot, the decision is one pure function, and only the session's slot commits. So no join is committed after a
restriction was acknowledged, in any order of the steps.
"""

from collections.abc import Collection, Mapping, Sequence

import structlog
from msgspec import Struct

from muster_hub.concurrency import together
from muster_hub.context import NodeContext
from muster_hub.delivery.live import tell
from muster_hub.presence.registry import check_current
from muster_hub.routing.caller import Caller
from muster_hub.sessions.commit import CommitResult, commit, read_epoch_facts, refuse
from muster_hub.sessions.epochs import Proposal, propose
from muster_hub.sessions.facts import DeviceFacts
from muster_hub.sessions.holds import HOLD_MS, HeldFor, HoldRequest, hold, settle
from muster_hub.sessions.join_decision import parties_of, rejected
from muster_hub.sessions.state import SessionState, read_state
from muster_hub.sessions.updates import push_member_out
from muster_hub.store.errors import StoreUnavailable
from muster_protocol.errors import Refused
from muster_protocol.frames import AdmissionPush, Admit, Admitted, EpochPush, InviteResult, Purpose
from muster_protocol.ids import ClientId
from muster_protocol.reasons import Reason

MAX_ROUNDS = 3
"""How often a join is tried while parties are restricted between hold and commit."""

_log = structlog.get_logger(__name__)


async def admit(context: NodeContext, caller: Caller, request: Admit) -> Admitted:
    """Commit an epoch and the joins in it, or return the devices that stand in the way; then nothing is committed.

    Raises ``Refused``: ``not_a_member``, ``session_closed``, ``mismatch`` (also where another epoch came first),
    ``superseded``, ``overloaded``, ``malformed``; ``StoreUnavailable`` where the outcome may be unknown: the same
    request again finds out.
    """
    await check_current(context.store, caller)  # also judged with the hold, but then others may be held already
    state = await read_state(context, request.session)
    if state is None or caller.client not in state.present:
        raise Refused(Reason.NOT_A_MEMBER)
    join = _Join(context, caller, state, propose(caller, request, state))
    if not state.open:
        raise Refused(Reason.SESSION_CLOSED)
    for _ in range(MAX_ROUNDS):
        rejected = await join.round()
        if rejected is not None:
            return Admitted(re=request.id, rejected=rejected)
    raise Refused(Reason.OVERLOADED, "the parties change faster than they can be held")


class _Join(Struct, frozen=True):
    """One request to commit an epoch."""

    context: NodeContext
    caller: Caller
    state: SessionState
    proposal: Proposal

    async def round(self) -> tuple[InviteResult, ...] | None:
        """Return the devices that stand in the way, none of them once the epoch is committed; None: try again.

        A committed epoch is not decided again, and no device is held for it: its caller has not received the reply.
        """
        facts = await read_epoch_facts(self.context, self.state.session, self.proposal)
        if facts.again is not None:
            await self._spread(facts.again)
        elif not facts.rejected:
            return await self._commit(facts.purposes)
        return facts.rejected

    async def _commit(self, purposes: Mapping[ClientId, Purpose]) -> tuple[InviteResult, ...] | None:
        """Hold, decide, commit, settle; None when a party was restricted in between, or the epoch is committed."""
        began_ms = await self.context.store.now_ms()
        wanted = parties_of(self.caller, self.state, self.proposal, purposes)
        held = await hold(self.context, self.caller.payer, self._held_for(), wanted)
        try:
            result = await self._decide(purposes, held, began_ms)
        except Refused:
            await self._settle(wanted, held, spent=False)
            raise
        if result.again:
            # It may have been committed over this very hold. The next join that finds the hold settles it.
            return None
        if result.committed:
            # At once: a member that is taken out from now on was told before.
            await self._spread({*self.proposal.newcomers, *self.proposal.sealed}, result.removed)
        # After a stale round too: the next round takes a hold of its own, which no other request shares.
        await self._settle(wanted, held, spent=result.committed)
        return None if result.stale else result.rejected

    def _held_for(self) -> HeldFor:
        state = self.state
        return HeldFor(state.session, state.ends_at, state.creator, state.members[state.creator].fingerprint)

    async def _decide(
        self, purposes: Mapping[ClientId, Purpose], held: Mapping[ClientId, DeviceFacts], began_ms: int
    ) -> CommitResult:
        context, state, proposal = self.context, self.state, self.proposal
        for client, facts in held.items():
            if facts.not_held is not None and client not in proposal.newcomers:
                raise Refused(facts.not_held)
        refused = rejected(state, proposal, purposes, held, context.clock.now_ms())
        if refused:
            return await refuse(context, state.session, proposal, refused)
        # Other joins may settle an old hold, so nothing commits over a hold that could be old by then.
        return await commit(context, self.caller, state, proposal, held, began_ms + HOLD_MS // 2)

    async def _settle(self, wanted: list[HoldRequest], held: Mapping[ClientId, DeviceFacts], *, spent: bool) -> None:
        try:
            await settle(self.context, self.state.session, wanted, held, spent=spent)
        except StoreUnavailable as error:
            # The session has decided; the next join that finds the hold settles it by that.
            _log.warning("hold_not_settled", session=self.state.session[:8], cause=error.cause)

    async def _spread(self, reached: Collection[ClientId], removed: Sequence[ClientId] = ()) -> None:
        """Push the admissions to newcomers, and the epoch and its removals to members, online."""
        context, session, proposal = self.context, self.state.session, self.proposal
        admissions = [
            tell(context, [each.client], AdmissionPush(admission=each.signed))
            for each in proposal.newcomers.values()
            if each.client in reached
        ]
        epochs = [
            tell(context, [client], EpochPush(session=session, epoch=proposal.signed, sealed=sealed))
            for client, sealed in proposal.sealed.items()
            if client in reached
        ]
        outs = [push_member_out(context, session, client, None, self.state.members) for client in removed]
        await together(*admissions, *epochs, *outs)
