"""Codes of invitations: made, listed, withdrawn, and spent on the first device that shows one (SPEC.md section 4.6).

The store has their hashes alone, so that who reads the store cannot enrol.
"""

import os
from dataclasses import dataclass
from hashlib import sha256

from muster_hub.context import NodeContext
from muster_hub.routing.caller import Caller
from muster_hub.store import keys
from muster_hub.store.adapter import Store
from muster_hub.store.cells import data, number, pairs
from muster_hub.store.rows import CodeRow, read
from muster_hub.store.scripts import script
from muster_hub.store.steps import change
from muster_protocol.errors import Refused
from muster_protocol.frames import CodeReply, MakeCode
from muster_protocol.ids import CODE_BYTES, ClientId, EnrolmentCode, TimeMs
from muster_protocol.reasons import Reason

OPERATOR = ""
NAME_BYTES = 4
"""Bytes of a code's hash by which the operator names it, in hexadecimal."""

_MAKE = script("code_make")
_USE = script("code_use")
_LIST = script("codes")
_WITHDRAW = script("code_withdraw")


@dataclass(frozen=True, slots=True)
class KnownCode:
    """A code as the operator sees it: its name, and how it stands. ``made_by`` and ``used_by`` may be empty."""

    name: str
    expires_at: TimeMs
    made_by: str
    used_by: str


async def make_code(store: Store, by: ClientId | str = OPERATOR) -> tuple[EnrolmentCode, TimeMs]:
    """Make a code, and return it with its end by the store's clock.

    Raises ``Refused``: ``rate_limited`` where too many wait, or the device made too many; ``StoreUnavailable``.
    """
    code = EnrolmentCode(os.urandom(CODE_BYTES))
    return code, TimeMs(number(await change(store, _MAKE, [keys.CODES], _hash(code), by)))


async def make_invitation(context: NodeContext, caller: Caller, request: MakeCode) -> CodeReply:
    """Serve a device that invites another one; raises ``Refused``: ``unsupported`` where no invitation enrols."""
    if context.settings.enrolment != "invited":
        raise Refused(Reason.UNSUPPORTED, "no device comes to this hub by an invitation")
    code, expires_at = await make_code(context.store, caller.client)
    return CodeReply(re=request.id, code=code, expires_at=expires_at)


async def use_code(store: Store, code: EnrolmentCode, client: ClientId) -> str:
    """Spend a code on a device, and return who made it.

    Raises ``Refused``: ``not_enrolled`` for a code that is not known, ``code_used``, ``code_expired``;
    ``StoreUnavailable``.
    """
    return data(await change(store, _USE, [keys.CODES], _hash(code), client)).decode()


async def known_codes(store: Store) -> list[KnownCode]:
    """Return the codes that are kept, the newest first. Raises ``StoreUnavailable``."""
    rows = {data(digest): read(data(row), CodeRow) for digest, row in pairs(await store.run(_LIST, [keys.CODES]))}
    newest_first = sorted(rows.items(), key=lambda each: -each[1].made_ms)
    return [
        KnownCode(_name(digest), TimeMs(row.made_ms + keys.CODE_MS), row.by, row.used_by)
        for digest, row in newest_first
    ]


async def withdraw_code(store: Store, name: str) -> bool:
    """Withdraw the unused codes of a name; return whether there was one. Raises ``Refused`` (``code_used``)."""
    found = [data(digest) for digest, _ in pairs(await store.run(_LIST, [keys.CODES])) if _name(data(digest)) == name]
    for digest in found:
        await change(store, _WITHDRAW, [keys.CODES], digest)
    return bool(found)


def _hash(code: EnrolmentCode) -> bytes:
    return sha256(code).digest()


def _name(digest: bytes) -> str:
    return digest[:NAME_BYTES].hex()
