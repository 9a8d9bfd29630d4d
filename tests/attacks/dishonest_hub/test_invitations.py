"""A hub that says of an invitation what no calendar has: the command shows it as the hub's word, and ends well."""

from pathlib import Path

from tests.attacks.dishonest_hub.test_terminal import device_at, run
from tests.integration.client.conftest import free_port
from tests.integration.client.scripted_hub import replying, scripted_hub

from muster_protocol.frames import CodeReply, MakeCode, Ok, Reply, Request
from muster_protocol.ids import MAX_TIME_MS, EnrolmentCode, TimeMs


async def test_no_end_of_an_invitation_breaks_the_command(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        if isinstance(request, MakeCode):
            return CodeReply(re=request.id, code=EnrolmentCode(bytes(10)), expires_at=TimeMs(MAX_TIME_MS))
        return Ok(re=request.id)

    port = free_port()
    async with scripted_hub(port, replying(answer), changes=0), device_at(tmp_path / "laptop", port) as folder:
        written = await run(folder, "enrolment", "code")
    assert f"ws://127.0.0.1:{port}#" in written
    assert "the hub says until 20" in written
