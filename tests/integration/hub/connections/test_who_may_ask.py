"""Which process of a device may make which request: over every type of request that there is (SPEC.md section 3.3)."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.integration.hub.device import SigningDevice

from muster_hub.node.node import Node
from muster_protocol.connect import Role
from muster_protocol.errors import Refused
from muster_protocol.frames import AGENT_REQUESTS, FRAMES, Error, Request, decode_frame
from muster_protocol.reasons import Reason

_VECTORS = Path(__file__).resolve().parents[4] / "protocol/vectors/frames.json"


def _requests() -> dict[type[Request], Request]:
    """Return one well-formed request of each type, from the vectors."""
    found: dict[type[Request], Request] = {}
    for vector in json.loads(_VECTORS.read_text("utf-8"))["vectors"]:
        try:
            frame = decode_frame(bytes.fromhex(vector["input"]["message"]))
        except Refused:
            continue
        if isinstance(frame, Request):
            found.setdefault(type(frame), frame)
    return found


@pytest.mark.parametrize("role", list(Role))
async def test_only_the_agent_makes_the_requests_of_an_agent(node: Node, role: Role) -> None:
    requests = _requests()
    assert set(requests) == {frame for frame in FRAMES.values() if issubclass(frame, Request)}
    async with SigningDevice().connect(node.url, role=role) as link:
        refused = set()
        for number, (kind, request) in enumerate(requests.items(), start=1):
            reply = await link.ask_any(replace(request, id=number))
            if isinstance(reply, Error) and reply.reason is Reason.SUPERSEDED:
                refused.add(kind)
    assert refused == (set() if role is Role.AGENT else AGENT_REQUESTS)
