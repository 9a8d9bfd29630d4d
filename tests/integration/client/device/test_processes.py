"""Two processes of one device: they share its data, and nothing is given out twice."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from muster_client import Device
from muster_client.control.lock import agent_lock, read_holder
from muster_client.errors import AgentRunning
from muster_client.paths import KEY_FILE, LOCK_FILE
from muster_client.views import GrantState

ROUNDS = 150
HUB_URL = "ws://127.0.0.1:7627"

ALLOCATE = f"""
import sys
from pathlib import Path
from muster_client import Device
from muster_protocol.ids import Fingerprint
sys.stdin.readline()
with Device.open(Path(sys.argv[1])) as device:
    (peer,) = device.peers.all()
    for _ in range({ROUNDS}):
        from muster_protocol.governance import Grant
        from muster_protocol.signed import read
        print(read(device.peers.grant(peer.client), Grant).serial)
"""

HOLD = """
import sys
from pathlib import Path
from muster_client.control.lock import agent_lock
with agent_lock(Path(sys.argv[1]), Path("/somewhere/agent.sock")):
    print("held", flush=True)
    sys.stdin.readline()
"""

OPEN = """
import sys
from pathlib import Path
from muster_client import Device
Device.open(Path(sys.argv[1]))
"""


SPEND = """
import os, signal, sys
from pathlib import Path
from muster_client import Device
from muster_client.device.statements import Topic
from muster_protocol.governance import Grant
from muster_protocol.ids import InviteId
from muster_protocol.signed import read
device = Device.open(Path(sys.argv[1]))
grant = read(device._statements.all(Topic.GRANT)[0].signed, Grant)
print(device.invites.spend(grant.grant, InviteId(bytes(16))), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def start(program: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture
def laptop(tmp_path: Path):
    with (
        Device.create(tmp_path / "laptop", hub_url=HUB_URL) as device,
        Device.create(tmp_path / "nas", hub_url=HUB_URL) as nas,
    ):
        device.peers.trust(nas.client, nas.fingerprint, "nas")
        yield device


def test_two_processes_never_get_the_same_serial(laptop: Device) -> None:
    processes = [start(ALLOCATE, laptop.path) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    serials: list[int] = []
    for process in processes:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        mine = [int(line) for line in output.split()]
        assert len(mine) == ROUNDS
        assert mine == sorted(mine)
        serials += mine
    assert len(set(serials)) == 3 * ROUNDS
    grant = laptop.peers.all()[0].grant
    assert grant is not None
    assert grant.serial == max(serials), "the newest is the one that counts"


def test_26_one_use_stays_spent_after_sigkill(laptop: Device) -> None:
    (peer,) = laptop.peers.all()
    laptop.peers.grant(peer.client, once=True)
    said = []
    for _ in range(2):
        with start(SPEND, laptop.path) as process:
            assert process.stdout is not None
            said.append(process.stdout.read())
        assert process.returncode == -signal.SIGKILL
    assert said == ["True\n", "False\n"]
    grant = laptop.peers.all()[0].grant
    assert grant is not None
    assert grant.state is GrantState.USED


def test_the_agents_lock_ends_with_its_process(laptop: Device) -> None:
    path = laptop.path / LOCK_FILE
    with start(HOLD, path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(AgentRunning) as caught, agent_lock(path, None):
            pass
        assert caught.value.pid == holder.pid
        found = read_holder(path)
        assert found is not None
        assert found.socket == "/somewhere/agent.sock"
        holder.kill()
        holder.wait()
        with agent_lock(path, None):
            pass


def test_a_key_that_others_can_read_is_refused_by_a_process(laptop: Device) -> None:
    (laptop.path / KEY_FILE).chmod(0o640)
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(laptop.path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "can be read by others" in done.stderr
