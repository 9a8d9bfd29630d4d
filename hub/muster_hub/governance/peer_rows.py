"""The store's rows for statements about a peer. Pure functions."""

from muster_hub.store.rows import GrantRow, PeerRow
from muster_protocol.codec import encode
from muster_protocol.governance import Grant, Revocation, Trust, Untrust
from muster_protocol.ids import Hash, TimeMs
from muster_protocol.signed import Signed


def trust_row(body: Trust | Untrust, digest: Hash, signed: Signed) -> PeerRow:
    """Return the row of a trust or untrust. ``digest`` is the hash of the statement."""
    if isinstance(body, Trust):
        return PeerRow("trust", body.serial, digest, body.peer_key, encode(signed))
    return PeerRow("untrust", body.serial, digest, b"", encode(signed))


def grant_row(body: Grant | Revocation, digest: Hash, signed: Signed) -> GrantRow:
    """Return the row of a grant or revocation. ``digest`` is the hash of the statement."""
    if isinstance(body, Revocation):
        return _no_grant(body.serial, digest, body.grant, encode(signed))
    return GrantRow(
        kind="grant",
        serial=body.serial,
        hash=digest,
        grant_id=body.grant,
        peer_fp=body.peer_key,
        mode=body.mode,
        profiles=body.profiles,
        uses=body.uses or 0,
        not_before=body.not_before,
        expires_at=body.expires_at,
        signed=encode(signed),
    )


def ended_grant_row(body: Untrust, digest: Hash, signed: Signed) -> GrantRow:
    """Return the row that replaces a grant once an untrust has ended it; also where a later trust stands."""
    return _no_grant(body.serial, digest, b"", encode(signed))


def _no_grant(serial: int, digest: Hash, grant: bytes, signed: bytes) -> GrantRow:
    return GrantRow("revocation", serial, digest, grant, b"", None, None, 0, TimeMs(0), TimeMs(0), signed)  # type: ignore[arg-type]
