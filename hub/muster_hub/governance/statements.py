"""A device's own statements: put, one at a time, and listed (SPEC.md section 2.6)."""

from muster_hub.context import NodeContext
from muster_hub.governance.cards import put_card
from muster_hub.governance.peer_statements import put_peer_statement
from muster_hub.routing.caller import Caller
from muster_hub.store import keys
from muster_hub.store.scripts import script
from muster_protocol.codec import convert, unpack
from muster_protocol.frames import MAX_PAGE, KindAndStatement, ListStatements, Ok, PutStatement, Statements
from muster_protocol.labels import Kind
from muster_protocol.signed import Signed

_STATEMENTS = script("statements")


async def put_statement(context: NodeContext, caller: Caller, request: PutStatement) -> Ok:
    """Store one of the caller's own statements; what it restricts is in force everywhere before the reply.

    Raises ``Refused``: ``bad_signature``, ``mismatch`` (another signer, or other bytes under a serial that is held),
    ``malformed``, ``self_target``, ``replayed`` (a newer one is held), ``too_large`` (more peers than are kept),
    ``superseded``; ``StoreUnavailable``.
    """
    if request.kind is Kind.CARD:
        await put_card(context, caller, request.statement)
    else:
        await put_peer_statement(context, caller, request.kind, request.statement)
    return Ok(re=request.id)


async def list_statements(context: NodeContext, caller: Caller, request: ListStatements) -> Statements:
    """Return the caller's own statements, at most MAX_PAGE of them. Raises ``StoreUnavailable``."""
    client = caller.client
    where = [keys.device(client), keys.peers(client), keys.grants(client), keys.stated(client)]
    match await context.store.run(_STATEMENTS, where, [request.after, MAX_PAGE]):
        case [int(more), list(page)]:
            flat = [item for item in page if isinstance(item, bytes)]
            shown = tuple(
                KindAndStatement(Kind(kind.decode()), convert(unpack(data), Signed))
                for kind, data in zip(flat[::2], flat[1::2], strict=True)
            )
            return Statements(re=request.id, statements=shown, more=more == 1)
        case _:
            raise TypeError("unexpected reply of the script statements")
