"""``muster hub`` in this process, with settings that it refuses."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from muster_hub.cli.command import app


@pytest.mark.parametrize(
    ("arguments", "setting"),
    [
        (("--listen", "nowhere"), "listen"),
        (("--listen", "127.0.0.1:70000"), "listen"),
        (("--listen", "0.0.0.0:0", "--tls", "off"), "origin"),
        (("--tls", "perhaps"), "tls"),
        (("--origin", "http://hub.example"), "origin"),
        (("--origin", "ws://hub.example"), "origin"),
        (("--store", "mysql://elsewhere"), "store"),
        (("--store-replicas", "many"), "store_replicas"),
        (("--tls-cert", "/nowhere.pem"), "tls_key"),
        (("--log-level", "loud"), "log_level"),
        (("--enrolment", "closed"), "enrolment"),
        (("--config", "/nowhere.toml"), "config"),
    ],
)
def test_a_bad_setting_is_refused_by_name(tmp_path: Path, arguments: tuple[str, ...], setting: str) -> None:
    done = CliRunner().invoke(app, ["--check", "--data-dir", str(tmp_path / "data"), *arguments])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"The hub was not started. {setting}: ")
    assert "--" + setting.replace("_", "-") in done.stderr
    assert not (tmp_path / "data").exists()
