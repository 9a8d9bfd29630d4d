"""The lock of a device's agent, and what it says of its holder."""

import os
from pathlib import Path

import pytest

from muster_client.control.lock import MAX_LOCK_BYTES, Holder, agent_lock, read_holder
from muster_client.errors import AgentRunning, UnusableData


def test_only_one_agent_holds_the_lock_and_the_next_one_learns_which(tmp_path: Path) -> None:
    lock = tmp_path / "agent.lock"
    with agent_lock(lock, tmp_path / "s.sock"):
        with pytest.raises(AgentRunning) as refused, agent_lock(lock, None):
            pass
        assert refused.value.pid == os.getpid()
        assert read_holder(lock) == Holder(os.getpid(), lock.stat().st_ino, str(tmp_path / "s.sock"))
    with agent_lock(lock, None):
        assert read_holder(lock) == Holder(os.getpid(), lock.stat().st_ino), "nothing is left of the longer entry"


def test_the_holder_stays_known_after_its_end(tmp_path: Path) -> None:
    lock = tmp_path / "agent.lock"
    with agent_lock(lock, None):
        pass
    assert read_holder(lock) == Holder(os.getpid(), lock.stat().st_ino)


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"pid":"x"}', b'{"pid":1,"inode":1,"socket":"' + b"x" * MAX_LOCK_BYTES + b'"}']
)
def test_a_lock_file_that_says_nothing_names_no_holder(tmp_path: Path, content: bytes) -> None:
    lock = tmp_path / "agent.lock"
    lock.write_bytes(content)
    assert read_holder(lock) is None


def test_without_a_file_or_a_folder_there_is_no_holder(tmp_path: Path) -> None:
    assert read_holder(tmp_path / "agent.lock") is None
    (tmp_path / "file").touch()
    assert read_holder(tmp_path / "file/agent.lock") is None


def test_a_lock_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnusableData, match="cannot be used"):
        read_holder(tmp_path)
