"""Joins: hold, decide, commit, settle (SPEC.md section 7.4).

The facts come from each party's slot, the decision is the one pure function, and the session's slot alone commits. So
no join is committed after a restriction was acknowledged, whatever order the steps take.
"""

from collections.abc import Mapping

import structlog
from msgspec import Struct

from muster_hub.audit.records import RecordKind, record
from muster_hub.concurrency import together
from muster_hub.context import NodeContext
from muster_hub.delivery import inbox
from muster_hub.delivery.live import tell
from muster_hub.routing.caller import Caller
from muster_hub.sessions.epochs import Newcomer, Proposal, must_trust, propose
from muster_hub.sessions.facts import DeviceFacts
from muster_hub.sessions.holds import HOLD_MS, HoldRequest, hold, settle
from muster_hub.sessions.state import SessionState, read_state
from muster_hub.sessions.updates import tell_out
from muster_hub.store import keys
from muster_hub.store.adapter import Word
from muster_hub.store.cells import Cell, items, pack, text
from muster_hub.store.errors import StoreUnavailable
from muster_hub.store.scripts import script
from muster_hub.store.steps import change, change_until, reason_of
from muster_protocol.codec import encode
from muster_protocol.decision import Call, decide
from muster_protocol.errors import Refused
from muster_protocol.exchange import JOIN_DEADLINE_MS, hash_of
from muster_protocol.frames import MAX_MEMBERS, Admit, Admitted, EpochPush, InviteResult
from muster_protocol.ids import ClientId
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason

MAX_ROUNDS = 3
"""How often a join is held anew because a party was restricted meanwhile."""

_COMMIT = script("commit")
_REFUSE = script("refuse")
_log = structlog.get_logger(__name__)

HeldFacts = Mapping[ClientId, DeviceFacts]


async def admit(context: NodeContext, caller: Caller, request: Admit) -> Admitted:
    """Commit an epoch and the joins in it, or say who stands in the way; nothing is committed then.

    Raises ``Refused``: ``not_a_member``, ``session_closed``, ``mismatch`` (also where another epoch came first),
    ``superseded``, ``overloaded``, ``malformed``; ``StoreUnavailable`` where the outcome may be unknown: the same
    request again finds out.
    """
    state = await read_state(context, request.session)
    if state is None or caller.client not in state.present:
        raise Refused(Reason.NOT_A_MEMBER)
    join = _Join(context, caller, state, propose(caller, request, state))
    for _ in range(MAX_ROUNDS):
        verdict = await join.round()
        if not verdict.stale:
            return Admitted(re=request.id, rejected=verdict.rejected)
    raise Refused(Reason.OVERLOADED, "the parties change faster than they can be held")


class _RoundResult(Struct, frozen=True):
    """What became of one round: committed, rejected for these reasons, or stale."""

    rejected: tuple[InviteResult, ...] = ()
    stale: bool = False

    @property
    def committed(self) -> bool:
        return not self.rejected and not self.stale


class _Join(Struct, frozen=True):
    """One request to commit an epoch."""

    context: NodeContext
    caller: Caller
    state: SessionState
    proposal: Proposal

    async def round(self) -> _RoundResult:
        """Hold, decide, commit, settle; stale when a party was restricted between hold and commit."""
        began_ms = await self.context.store.now_ms()
        wanted = self._wanted()
        held = await hold(self.context, self.state.session, self.state.ends_at, wanted)
        # What is committed already is not judged again: the caller only did not hear of it.
        known = self.proposal.hash == self.state.epoch_hash
        rejected = () if known else self._judge(held)
        try:
            verdict = await (self._refuse(rejected) if rejected else self._commit(held, began_ms))
        except Refused:
            await self._settle(wanted, held, spent=False)
            raise
        # Stale too: the next round takes its own hold, which is then nobody else's.
        await self._settle(wanted, held, spent=verdict.committed)
        if verdict.committed:
            await self._spread()
        return verdict

    def _wanted(self) -> list[HoldRequest]:
        """Name the parties: the caller, each newcomer, and in a mesh each member that a newcomer must trust."""
        newcomers = self.proposal.newcomers
        uses = {client: each.body.invite for client, each in newcomers.items() if each.is_auto}
        members = must_trust(self.state, self.caller.client, self.proposal.epoch.clients) if newcomers else ()
        wanted = [HoldRequest(self.caller.client, tuple(newcomers), uses, self.caller.connection)]
        for client in newcomers:
            peers = (self.state.creator, *(other for other in members if other != client))
            wanted.append(HoldRequest(client, peers, {self.state.creator: uses[client]} if client in uses else {}))
        return wanted + [HoldRequest(client, tuple(newcomers), {}) for client in members if client not in newcomers]

    def _judge(self, held: HeldFacts) -> tuple[InviteResult, ...]:
        """Decide each newcomer, beside the members and those newcomers before it that passed."""
        members = tuple(self.proposal.kept)
        rejected: list[InviteResult] = []
        for newcomer in self.proposal.newcomers.values():
            reason = self._decide(held, newcomer, members)
            if reason is None:
                members = (*members, newcomer.client)
            else:
                rejected.append(InviteResult(newcomer.client, reason))
        return tuple(rejected)

    def _decide(self, held: HeldFacts, newcomer: Newcomer, members: tuple[ClientId, ...]) -> Reason | None:
        state, epoch = self.state, self.proposal.epoch
        call = Call(
            creator=state.creator,
            target=newcomer.client,
            targets=tuple(self.proposal.newcomers),
            members=must_trust(state, newcomer.client, members),
            kind=state.kind,
            mode=state.mode,
            profile=state.profile,
            purpose=newcomer.body.purpose,
            room=MAX_MEMBERS - len(self.proposal.kept),
        )
        # Presence is not asked again: the answer showed it, and the admission waits for a device that just went.
        invites = {state.creator: newcomer.body.invite, newcomer.client: newcomer.body.invite}
        parties = {
            client: facts.party(online=None, session=state.session, invites=invites) for client, facts in held.items()
        }
        reason = decide(call, parties, self.context.clock.now_ms()).reason
        named = (state.creator, newcomer.client, *call.members)
        if reason is None and any(held[client].fingerprint != epoch.key_of(client) for client in named):
            return Reason.KEY_MISMATCH
        return reason

    async def _commit(self, held: HeldFacts, began_ms: int) -> _RoundResult:
        # A hold may be settled by others once it is old, so nothing commits over one that could be.
        not_after_ms = min(await self.context.store.not_after_ms(), began_ms + HOLD_MS // 2)
        reply = await change_until(self.context.store, _COMMIT, self._touched(), not_after_ms, *self._args(held))
        word, *rest = items(reply)
        if word == b"rejected":
            named = [text(cell) for cell in rest]
            results = zip(named[::2], named[1::2], strict=True)
            return _RoundResult(tuple(InviteResult(ClientId(client), reason_of(why)) for client, why in results))
        return _RoundResult(stale=word == b"stale")

    async def _refuse(self, rejected: tuple[InviteResult, ...]) -> _RoundResult:
        """Have the session's slot refuse the epoch: another request for the same may be on its way, or was before."""
        session, newcomers = self.state.session, self.proposal.newcomers
        touched = [keys.session(session), keys.epochs(session), keys.invite_outcomes(session)]
        named = [
            word
            for each in rejected
            for word in (each.client, newcomers[each.client].body.invite, each.reason or Reason.MISMATCH)
        ]
        word = await change(self.context.store, _REFUSE, touched, self.proposal.hash, *named)
        return _RoundResult() if word == b"committed" else _RoundResult(rejected)

    def _touched(self) -> list[bytes]:
        session, bucket = self.state.session, keys.bucket(self.state.session)
        return [
            keys.session(session),
            keys.roster(session),
            keys.minimum_versions(session),
            keys.epochs(session),
            keys.sealed(session),
            keys.invite_outcomes(session),
            keys.due(bucket),
            keys.outbox(bucket),
        ]

    def _args(self, held: HeldFacts) -> list[Word]:
        caller, proposal = self.caller, self.proposal
        parties: list[Cell] = [[facts.client, facts.ver] for facts in held.values()]
        kept: list[Cell] = [[client, key, proposal.sealed.get(client, b"")] for client, key in proposal.kept.items()]
        return [
            self.state.session,
            caller.client,
            caller.fingerprint,
            proposal.epoch.number,
            proposal.epoch.previous or b"",
            proposal.hash,
            encode(proposal.signed),
            JOIN_DEADLINE_MS,
            pack(*parties),
            pack(*kept),
            pack(*(self._newcomer(each) for each in proposal.newcomers.values())),
            pack(*(self._dropped(client) for client in proposal.dropped)),
        ]

    def _newcomer(self, newcomer: Newcomer) -> Cell:
        body, admission = newcomer.body, hash_of(Kind.ADMISSION, newcomer.signed)
        row = record(
            RecordKind.JOIN_COMMITTED,
            actor=self.state.creator,
            subject=newcomer.client,
            session=self.state.session,
            statement=admission,
        )
        return [newcomer.client, body.recipient_key, body.invite, encode(newcomer.signed), admission, row]

    def _dropped(self, client: ClientId) -> Cell:
        row = record(RecordKind.MEMBER_OUT, actor=self.caller.client, subject=client, session=self.state.session)
        return [client, row]

    async def _settle(self, wanted: list[HoldRequest], held: HeldFacts, *, spent: bool) -> None:
        try:
            await settle(self.context, self.state.session, wanted, held, spent=spent)
        except StoreUnavailable as error:
            # The session has decided; whoever meets the hold later settles it by that.
            _log.warning("hold_not_settled", session=self.state.session[:8], cause=error.cause)

    async def _spread(self) -> None:
        """Let the admissions wait for the newcomers, and push the epoch to the members who are there."""
        context, session, proposal = self.context, self.state.session, self.proposal
        waits = [_put_admission(context, each) for each in proposal.newcomers.values()]
        pushes = [
            tell(context, [client], EpochPush(session=session, epoch=proposal.signed, sealed=sealed))
            for client, sealed in proposal.sealed.items()
        ]
        outs = [tell_out(context, session, client, None, self.state.members) for client in proposal.dropped]
        await together(*waits, *pushes, *outs)


async def _put_admission(context: NodeContext, newcomer: Newcomer) -> None:
    try:
        await inbox.put_admission(context, newcomer.client, newcomer.signed)
    except (Refused, StoreUnavailable) as error:
        # The seat is committed and its admission stands in the outbox: it is put again from there.
        _log.info("admission_waits_in_outbox", client=newcomer.client[:8], cause=str(error))
