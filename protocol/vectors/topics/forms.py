"""How values of the wire stand in JSON: bytes as hexadecimal, a statement by its three parts (README.md)."""

from typing import Any

import msgpack

from muster_protocol.errors import Refused
from muster_protocol.keys import PublicKey
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed

Json = dict[str, Any]
Vector = dict[str, Any]


def accepted(name: str, given: Json, expect: Json) -> Vector:
    """Make a vector whose input is accepted."""
    return {"name": name, "input": given, "expect": expect}


def refused(name: str, given: Json, reason: Reason, layer: str) -> Vector:
    """Make a vector whose input is refused, at this layer."""
    return {"name": name, "input": given, "refused": {"reason": reason.value, "layer": layer}}


def shown(value: object) -> object:
    """Return a decoded MessagePack value as JSON; bytes become ``{"hex": ...}``, to differ from text."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, list):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    return value


def fields(body: bytes) -> object:
    """Return the fields of encoded bytes as JSON."""
    return shown(msgpack.unpackb(body))


def signed(statement: Signed) -> Json:
    """Return a statement as JSON."""
    return {
        "body": statement.body.hex(),
        "signer": statement.signer.hex(),
        "signature": statement.signature.hex(),
    }


def public(key: PublicKey) -> Json:
    """Return a public key as JSON."""
    return {"alg": key.alg, "public": key.public.hex()}


def must(condition: object, what: str) -> None:
    """Stop the generator where a vector would not show what its name says."""
    if not condition:
        raise Refused(Reason.INTERNAL, what)
