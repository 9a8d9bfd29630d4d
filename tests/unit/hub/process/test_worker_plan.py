"""What several workers share, and where they are refused."""

import socket
from pathlib import Path

import msgspec
import pytest

from muster_hub.config.settings import SettingError, Settings
from muster_hub.listener import ListenerSettings
from muster_hub.process.shared_port import shared_port
from muster_hub.process.worker_plan import check_platform, divided, plan, read_plan
from muster_hub.rate_limits.token_bucket import Rate

HOST = "127.0.0.1"


def test_what_is_allowed_in_all_is_divided() -> None:
    limits = ListenerSettings(max_connections=100, max_unauthenticated=10, max_unauthenticated_per_address=None)
    part = divided(4, limits)
    assert part.reuse_port is True
    assert (part.max_connections, part.max_unauthenticated) == (25, 3)
    assert part.max_unauthenticated_per_address is None
    assert part.stranger_work == Rate(per_s=100, burst=500)
    whole = ListenerSettings()
    assert whole.max_unauthenticated_per_address is not None
    assert divided(3).max_unauthenticated_per_address == -(-whole.max_unauthenticated_per_address // 3)


def test_a_worker_gets_the_settings_and_its_part_of_the_limit_by_address(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        store="unix:///somewhere",
        tls_cert=tmp_path / "cert.pem",
        tls_key=tmp_path / "key.pem",
        origin=("wss://hub.example",),
        trusted_proxy=("10.0.0.0/8", "::1"),
        insecure=True,
        stop_grace_s=3.5,
    )
    line = plan(settings, 5)
    assert line.count(b"\n") == 1
    part = msgspec.structs.replace(
        settings,
        max_per_address=400,
        units_per_address=200,
        store_mib_per_address=-(-settings.store_mib_per_address // 5),
    )
    assert read_plan(line) == (part, 5)
    plain = Settings(data_dir=tmp_path, max_per_address=0, units_per_address=0, store_mib_per_address=0)
    assert read_plan(plan(plain, 2)) == (plain, 2)


def test_several_workers_are_refused_on_macos_with_the_reason() -> None:
    with pytest.raises(SettingError, match="one process") as refused:
        check_platform(2, "darwin")
    assert refused.value.setting == "workers"
    check_platform(1, "darwin")
    check_platform(2, "linux")


def test_processes_may_share_the_port_that_is_held() -> None:
    with shared_port(HOST, 0) as port, socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((HOST, port))
        listener.listen()
        for _ in range(16):  # none of them lands at the one that only holds the port
            with socket.create_connection((HOST, port)):
                listener.accept()[0].close()


@pytest.mark.parametrize("also_shares", [False, True])
def test_a_port_that_another_listens_on_is_refused(also_shares: bool) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(also_shares))
        listener.bind((HOST, 0))
        listener.listen()
        with pytest.raises(OSError, match="in use"), shared_port(HOST, listener.getsockname()[1]):
            pass


def test_a_port_is_free_again_after_it_was_held() -> None:
    with shared_port("localhost", 0) as port:
        pass
    with shared_port("localhost", port) as again:
        assert again == port
