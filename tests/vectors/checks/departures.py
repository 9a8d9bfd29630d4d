"""departures.json: the statements by which a member goes out of a session."""

from tests.vectors.checks.forms import Json, public_key, signed

from muster_protocol.departures import AdmittedMember, check_departure
from muster_protocol.ids import ClientId, SessionId, TimeMs
from muster_protocol.labels import Kind


def check_departures(given: Json) -> Json:
    member = AdmittedMember(
        SessionId(given["session"]),
        ClientId(given["client"]),
        public_key(given["key"]),
        TimeMs(given["since"]),
        frozenset(map(ClientId, given["trusts"])),
    )
    check_departure(Kind(given["kind"]), signed(given["statement"]), member)
    return {"ends": True}
