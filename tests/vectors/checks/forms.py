"""What stands in JSON as values of the wire."""

from typing import Any

import msgspec

from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.decision import Compatibility
from muster_protocol.ids import ClientId, Fingerprint, Signature
from muster_protocol.keys import PublicKey
from muster_protocol.signed import Signed

Json = dict[str, Any]


def signed(form: Json) -> Signed:
    body, signer, signature = (bytes.fromhex(form[name]) for name in ("body", "signer", "signature"))
    return Signed(body, Fingerprint(signer), Signature(signature))


def shown(statement: Signed) -> Json:
    return {
        "body": statement.body.hex(),
        "signer": statement.signer.hex(),
        "signature": statement.signature.hex(),
    }


def public_key(form: Json) -> PublicKey:
    """Read a key as the wire does, with the limits of its shape."""
    return msgspec.convert([form["alg"], bytes.fromhex(form["public"])], PublicKey, builtin_types=(bytes,))


def pins(form: dict[str, str]) -> dict[ClientId, Fingerprint]:
    return {ClientId(client): Fingerprint(bytes.fromhex(pin)) for client, pin in form.items()}


def versions(form: list[int]) -> ProtocolRange:
    return ProtocolRange(*form)


def compatibility(form: Json) -> Compatibility:
    return Compatibility(versions(form["protocol"]), form["app"], tuple(map(Mode, form["modes"])))


def value(form: Any) -> Any:
    """Turn ``{"hex": ...}`` back into bytes, at any depth."""
    if isinstance(form, dict):
        return bytes.fromhex(form["hex"]) if set(form) == {"hex"} else {key: value(item) for key, item in form.items()}
    return [value(item) for item in form] if isinstance(form, list) else form


def json_form(found: Any) -> Any:
    """Turn bytes into ``{"hex": ...}``, at any depth."""
    if isinstance(found, bytes):
        return {"hex": found.hex()}
    if isinstance(found, dict):
        return {key: json_form(item) for key, item in found.items()}
    return [json_form(item) for item in found] if isinstance(found, list) else found
