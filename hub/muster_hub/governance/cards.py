"""Cards: stored for a device, and shown to those whom it trusts (SPEC.md section 1.5)."""

from muster_hub.context import NodeContext
from muster_hub.governance.checks import check_own, check_serial, check_verdict
from muster_hub.governance.pushes import push_card
from muster_hub.presence.registry import compatibility, words
from muster_hub.rate_limits.costs import CARD_PUSH
from muster_hub.routing.caller import Caller
from muster_hub.store import keys
from muster_hub.store.adapter import Word
from muster_hub.store.rows import PeerRow, read
from muster_hub.store.scripts import script
from muster_hub.store.steps import change
from muster_protocol.cards import verify_card
from muster_protocol.codec import convert, encode, unpack
from muster_protocol.errors import Refused
from muster_protocol.frames import CardReply, GetCard
from muster_protocol.ids import ClientId
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, statement_hash

_PUT_CARD = script("put_card")
_CARD = script("card")


async def get_card(context: NodeContext, caller: Caller, request: GetCard) -> CardReply:
    """Return the card of a device that trusts the caller. Raises ``Refused(not_mutually_trusted)`` for any other."""
    where = [keys.device(request.client), keys.peers(request.client)]
    match await context.store.run(_CARD, where, [caller.client]):
        case [bytes(about), bytes(card)] if card and about and _pins(read(about, PeerRow), caller):
            return CardReply(re=request.id, card=convert(unpack(card), Signed))
        case _:
            raise Refused(Reason.NOT_MUTUALLY_TRUSTED)


async def put_card(context: NodeContext, caller: Caller, signed: Signed) -> None:
    """Store the caller's new card and push it to the peers that it trusts.

    Raises ``Refused``: what ``verify_card`` raises, ``mismatch`` (another device, or another chain of keys),
    ``replayed``, ``superseded``; ``StoreUnavailable``.
    """
    card = verify_card(signed)
    check_own(card.card.client, caller)
    await check_serial(context.store, card.card.serial)
    if card.fingerprints != caller.fingerprints:
        raise Refused(Reason.MISMATCH, "a new key is shown by connecting with it")
    where = [
        keys.device(caller.client),
        keys.instances(caller.client),
        keys.peers(caller.client),
        keys.outbox(keys.bucket(caller.client)),
    ]
    args: list[Word] = [
        caller.client,
        caller.connection,
        encode(signed),
        card.card.serial,
        statement_hash(Kind.CARD, signed.body),
        compatibility(card),
    ]
    match await change(context.store, _PUT_CARD, where, *args):
        case [bytes(verdict), list(trusted)]:
            check_verdict(verdict.decode())
            context.charge(caller.payer, CARD_PUSH * len(trusted))
            await push_card(context, caller, signed, [ClientId(peer) for peer in words(trusted)])
        case _:
            raise TypeError("unexpected reply of the script put_card")


def _pins(about: PeerRow, caller: Caller) -> bool:
    return about.kind == "trust" and about.fingerprint == caller.fingerprint
