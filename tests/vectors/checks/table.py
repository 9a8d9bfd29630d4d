"""Which check goes with which file, and what a vector must come out as."""

from collections.abc import Callable

from tests.vectors.checks import connecting, decision, departures, exchange, names, shapes, statements, stories
from tests.vectors.checks.forms import Json
from tests.vectors.checks.layers import layer_of

from muster_protocol.errors import Refused

CHECKS: dict[str, Callable[[Json], Json]] = {
    "cards": statements.check_cards,
    "closes": names.check_closes,
    "connect": connecting.check_connect,
    "continuity": names.check_continuity,
    "decision": decision.check_decision,
    "departures": departures.check_departures,
    "encoding": statements.check_encoding,
    "enrolment": names.check_enrolment,
    "epochs": exchange.check_epochs,
    "exchange": exchange.check_exchange,
    "export": exchange.check_export,
    "fingerprints": names.check_fingerprints,
    "frames": statements.check_frames,
    "hub_tls": names.check_hub_tls,
    "ids": names.check_ids,
    "reasons": names.check_reasons,
    "sealed": exchange.check_sealed,
    "serials": names.check_serials,
    "shapes": shapes.check_shapes,
    "statements": statements.check_statements,
    "stories": stories.check_stories,
}


def wanted(vector: Json) -> Json:
    """Return what a vector must come out as."""
    return {part: vector[part] for part in vector.keys() - {"name", "input"}}


def outcome(topic: str, given: Json) -> Json:
    """Return what comes out of a vector's input, in the form of the vectors."""
    try:
        return {"expect": CHECKS[topic](given)}
    except Refused as refusal:
        return {"refused": {"reason": refusal.reason.value, "layer": layer_of(refusal)}}
