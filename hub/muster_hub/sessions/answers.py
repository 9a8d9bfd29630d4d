"""Answers: an invited device accepts or refuses, and its answer waits for the creator (SPEC.md section 7.3)."""

from muster_hub.audit.records import Outcome, RecordKind, record
from muster_hub.context import NodeContext
from muster_hub.delivery import inbox
from muster_hub.delivery.live import tell
from muster_hub.presence.registry import check_current
from muster_hub.routing.caller import Caller
from muster_hub.sessions.state import read_state
from muster_hub.sessions.updates import push_member_out
from muster_hub.store import keys
from muster_hub.store.cells import text
from muster_hub.store.scripts import script
from muster_hub.store.steps import change
from muster_protocol.errors import Refused
from muster_protocol.exchange import Answer, hash_of
from muster_protocol.frames import InviteUpdatePush, Ok, SendAnswer
from muster_protocol.ids import Hash
from muster_protocol.labels import Kind
from muster_protocol.reasons import REASONS, Reason, Sayer
from muster_protocol.signed import verify

_ANSWER = script("invite_answer")


async def send_answer(context: NodeContext, caller: Caller, request: SendAnswer) -> Ok:
    """Store the answer to a live invite and put it into the creator's inbox; a refusal ends the invite.

    A device that refuses since its key is not the one that was called signs with a key that the creator did not pin.
    So the hub tells the creator of that end in its own word. A refusal after the seat takes the device out.

    Raises ``Refused``: ``bad_signature``, ``mismatch`` (no such invite, or fields of another device, key or session),
    ``wrong_recipient``, ``cancelled``, ``expired``, ``session_closed``, ``replayed`` (another answer came first),
    ``malformed``, ``overloaded`` (the creator's inbox is full: send the answer again), ``superseded``;
    ``StoreUnavailable``.
    """
    answer = verify(request.answer, caller.card.card.current, Answer)
    _check(caller, answer)
    await check_current(context.store, caller)
    word = await _take(context, answer, hash_of(Kind.ANSWER, request.answer))
    if word == "seated":
        return Ok(re=request.id)
    await inbox.put_answer(context, answer, request.answer)
    if word == "refused" and answer.reason is Reason.KEY_MISMATCH:
        await tell(context, [answer.recipient], _end(answer, answer.reason))
    if word == "out":
        state = await read_state(context, answer.session)
        # The creator learns it from the answer: that is the device's own word.
        members = {} if state is None else {each: row for each, row in state.members.items() if each != state.creator}
        await push_member_out(context, answer.session, caller.client, answer.reason, members)
    return Ok(re=request.id)


def _end(answer: Answer, reason: Reason) -> InviteUpdatePush:
    return InviteUpdatePush(session=answer.session, client=answer.sender, invite=answer.invite, reason=reason)


def _check(caller: Caller, answer: Answer) -> None:
    if (answer.sender, answer.sender_key) != (caller.client, caller.fingerprint):
        raise Refused(Reason.MISMATCH, "the answer is of another device or key")
    if (answer.receive_key is None) == (answer.reason is None):
        raise Refused(Reason.MALFORMED, "an answer must have either a receive key or a reason")
    if answer.reason is not None and Sayer.PEER not in REASONS[answer.reason].sayers:
        raise Refused(Reason.MALFORMED, "not a reason that a device gives")


async def _take(context: NodeContext, answer: Answer, answer_hash: Hash) -> str:
    session, bucket = answer.session, keys.bucket(answer.session)
    touched = [
        keys.session(session),
        keys.invite_outcomes(session),
        keys.roster(session),
        keys.sealed(session),
        keys.due(bucket),
        keys.outbox(bucket),
    ]
    row = b"" if answer.reason is None else _refusal(answer, answer.reason, answer_hash)
    verdict = answer.reason or "accept"
    named = (answer.sender, answer.invite, verdict, answer_hash, row, session, answer.recipient, answer.at)
    return text(await change(context.store, _ANSWER, touched, *named))


def _refusal(answer: Answer, reason: Reason, answer_hash: Hash) -> bytes:
    return record(
        RecordKind.INVITE_REFUSED,
        actor=answer.sender,
        subject=answer.recipient,
        session=answer.session,
        outcome=Outcome.REFUSED,
        reason=reason,
        statement=answer_hash,
    )
