"""Settings: which of several sources counts, and what is refused by name."""

import time
from pathlib import Path

import pytest
from tests.integration.certificates import Authority

from muster_hub.config import addresses
from muster_hub.config.addresses import AcceptedOrigins, binding, dialled, enrolment, origins, tls, trusted_proxies
from muster_hub.config.settings import MAY_BE, SettingError, Settings, load
from muster_hub.process.check import checked


def loaded(tmp_path: Path, flags: dict[str, object], environ: dict[str, str], file: str | None = None) -> Settings:
    if file is not None:
        path = tmp_path / "hub.toml"
        path.write_text(file)
        flags = flags | {"config": str(path)}
    return load(flags, environ, data_dir=tmp_path)


def test_a_flag_counts_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    file = 'log_level = "error"\nlog_format = "json"\nlisten = "127.0.0.1:1"\n'
    environ = {"MUSTER_HUB_LOG_LEVEL": "warning", "MUSTER_HUB_LOG_FORMAT": "text"}
    settings = loaded(tmp_path, {"log_level": "debug"}, environ, file)
    assert (settings.log_level, settings.log_format, settings.listen) == ("debug", "text", "127.0.0.1:1")
    assert settings.enrolment is None


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text("store_replicas = 2\ninsecure = true\n")
    settings = loaded(tmp_path, {}, {"MUSTER_HUB_CONFIG": str(tmp_path / "hub.toml")})
    assert (settings.store_replicas, settings.insecure) == (2, True)


def test_what_was_not_given_does_not_count(tmp_path: Path) -> None:
    settings = loaded(tmp_path, {"log_level": None, "origin": ()}, {"MUSTER_HUB_LOG_LEVEL": "error"})
    assert settings.log_level == "error"


def test_text_of_the_environment_stands_for_numbers_yes_and_lists(tmp_path: Path) -> None:
    environ = {
        "MUSTER_HUB_STORE_REPLICAS": "3",
        "MUSTER_HUB_INSECURE": "true",
        "MUSTER_HUB_ORIGIN": "ws://one.example, wss://two.example",
        "MUSTER_HUB_DATA_DIR": str(tmp_path / "there"),
        "MUSTER": "nothing of the hub's",
    }
    settings = loaded(tmp_path, {}, environ)
    assert settings.store_replicas == 3
    assert settings.insecure is True
    assert settings.origin == ("ws://one.example", "wss://two.example")
    assert settings.data_dir == tmp_path / "there"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("listen", "8080"),
        ("listen", "::1:80"),
        ("store_replicas", "-1"),
        ("log_format", "xml"),
        ("log_level", ""),
        ("insecure", "perhaps"),
        ("origin", ["hub.example"]),
        ("origin", ["wss://hub.example/path"]),
        ("trusted_proxy", ["everywhere"]),
        ("enrolment", "closed"),
        ("workers", "0"),
        ("workers", "65"),
        ("stop_grace_s", "-1"),
        ("stop_grace_s", "soon"),
        ("max_entering", "0"),
        ("data_dir", ""),
    ],
)
def test_a_bad_value_is_refused_with_the_settings_name_and_what_it_may_be(
    tmp_path: Path, name: str, value: object
) -> None:
    with pytest.raises(SettingError) as caught:
        loaded(tmp_path, {name: value}, {})
    assert caught.value.setting == name
    assert MAY_BE[name] in str(caught.value)


@pytest.mark.parametrize("file", ['colour = "blue"\n', '[hub]\nlisten = "x"\n'])
def test_an_unknown_setting_is_refused_by_name(tmp_path: Path, file: str) -> None:
    with pytest.raises(SettingError, match=r"unknown setting\. Valid settings:"):
        loaded(tmp_path, {}, {}, file)


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="is not TOML"):
        loaded(tmp_path, {}, {}, "listen: nowhere")


def test_every_setting_says_what_it_may_be() -> None:
    assert set(MAY_BE) == {*Settings.__struct_fields__, "config"}


def test_the_default_takes_devices_of_this_machine_alone(tmp_path: Path) -> None:
    settings = loaded(tmp_path, {}, {})
    found = binding(settings)
    assert (found.host, found.port, found.scheme) == ("127.0.0.1", 7627, "ws")
    assert origins(settings, found, 7627) == {"ws://127.0.0.1:7627", "ws://localhost:7627", "ws://[::1]:7627"}


@pytest.mark.parametrize(
    ("flags", "which"),
    [
        ({}, "open"),
        ({"listen": "[::1]:0"}, "open"),
        ({"origin": ["ws://localhost:7627"]}, "open"),
        ({"origin": ["wss://hub.example"]}, "invited"),
        ({"listen": "192.0.2.7:7627", "insecure": "true"}, "invited"),
        ({"listen": "192.0.2.7:7627", "insecure": "true", "enrolment": "open"}, "open"),
        ({"enrolment": "listed"}, "listed"),
        ({"trusted_proxy": ["127.0.0.1"]}, "invited"),
    ],
)
def test_a_hub_that_others_reach_takes_no_strangers_unless_told_to(
    tmp_path: Path, flags: dict[str, object], which: str
) -> None:
    settings = loaded(tmp_path, flags, {})
    assert enrolment(settings, binding(settings)) == which


@pytest.mark.parametrize("network", ["10.0.0.1/8", "0.0.0.0/0", "::/0", "10.0.0.0/33", "1.2.3", "::1::"])
def test_what_is_no_network_of_proxies_is_refused_by_name(tmp_path: Path, network: str) -> None:
    with pytest.raises(SettingError) as caught:
        binding(loaded(tmp_path, {"trusted_proxy": ["127.0.0.1", network]}, {}))
    assert MAY_BE["trusted_proxy"] in str(caught.value)


def test_the_environment_names_several_proxies(tmp_path: Path) -> None:
    settings = loaded(tmp_path, {}, {"MUSTER_HUB_TRUSTED_PROXY": "10.0.0.0/8, ::1"})
    assert list(map(str, trusted_proxies(settings))) == ["10.0.0.0/8", "::1/128"]


def test_an_origin_is_known_with_and_without_the_usual_port(tmp_path: Path) -> None:
    settings = loaded(tmp_path, {"origin": ["wss://Hub.Example", "wss://other.example:8443"]}, {})
    found = binding(settings)
    assert origins(settings, found, 7627) == {
        "wss://hub.example",
        "wss://hub.example:443",
        "wss://other.example:8443",
    }


@pytest.mark.parametrize(
    "flags",
    [
        {"listen": "0.0.0.0:7627", "tls": "off"},
        {"listen": "[::]:7627", "tls": "off"},
        {"listen": "0.0.0.0:7627", "insecure": True},
        {"listen": "0.0.0.0:7627", "trusted_proxy": ["192.0.2.8"]},
        {"listen": "192.0.2.7:7627", "tls": "off"},
        {"origin": ["ws://hub.example"]},
    ],
)
def test_what_is_open_to_others_on_the_way_has_to_be_asked_for(tmp_path: Path, flags: dict[str, object]) -> None:
    with pytest.raises(SettingError, match="origin: "):
        binding(loaded(tmp_path, flags, {}))


def test_insecure_asks_for_it(tmp_path: Path) -> None:
    settings = loaded(tmp_path, {"listen": "192.0.2.7:7627", "insecure": True}, {})
    assert origins(settings, binding(settings), 7627) == {"ws://192.0.2.7:7627"}


@pytest.mark.parametrize(
    ("flags", "who"),
    [
        ({}, "off"),
        ({"listen": "[::1]:7627"}, "off"),
        ({"listen": "localhost:7627"}, "off"),
        ({"listen": "0.0.0.0:7627"}, "own"),
        ({"listen": "192.0.2.7:7627"}, "own"),
        ({"listen": "hub.example:7627"}, "own"),
        ({"listen": "192.0.2.7:7627", "insecure": True}, "off"),
        ({"listen": "0.0.0.0:7627", "origin": ["wss://hub.example"]}, "off"),
        ({"listen": "0.0.0.0:7627", "origin": ["wss://hub.example"], "tls": "own"}, "own"),
        ({"tls": "own"}, "own"),
        ({"listen": "192.0.2.7:7627", "trusted_proxy": ["192.0.2.8"], "tls": "own"}, "own"),
        ({"listen": "0.0.0.0:7627", "origin": ["wss://hub.example"], "tls": "off"}, "off"),
    ],
)
def test_a_hub_that_others_dial_makes_its_certificate_unless_a_proxy_ends_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: dict[str, object], who: str
) -> None:
    monkeypatch.setattr(addresses, "machine_hosts", lambda _: ("192.0.2.7",))
    settings = loaded(tmp_path, flags, {})
    found = binding(settings)
    assert tls(found) == who
    assert found.scheme == ("wss" if who == "own" else "ws")
    assert checked(settings).values["tls"] == who


@pytest.mark.parametrize("who", ["own", "off"])
def test_a_certificate_in_files_leaves_nothing_to_choose(tmp_path: Path, who: str) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    Authority(tmp_path / "authority").write(cert, key)
    flags: dict[str, object] = {"tls_cert": str(cert), "tls_key": str(key)}
    assert tls(binding(loaded(tmp_path, flags, {}))) == "auto"
    with pytest.raises(SettingError, match="tls: "):
        binding(loaded(tmp_path, flags | {"tls": who}, {}))


def test_a_hub_on_every_address_is_dialled_at_its_machines_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [1000.0]
    hosts: dict[int, tuple[str, ...]] = {4: ("192.0.2.7", "nas", "127.0.0.1"), 6: ("2001:db8::7", "nas", "::1")}
    monkeypatch.setattr(addresses, "machine_hosts", hosts.__getitem__)
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    settings = loaded(tmp_path, {"listen": "0.0.0.0:0"}, {})
    found = binding(settings)
    assert dialled(settings, found, 7627)[0] == "wss://192.0.2.7:7627"
    accepted = AcceptedOrigins(settings, found, 7627)
    assert accepted() == {"wss://192.0.2.7:7627", "wss://nas:7627", "wss://127.0.0.1:7627"}
    hosts[4] = ("192.0.2.8",)
    assert "wss://192.0.2.7:7627" in accepted()
    now_s[0] += addresses.READ_EVERY_S
    assert accepted() == {"wss://192.0.2.8:7627"}
    six = loaded(tmp_path, {"listen": "[::]:0"}, {})
    assert dialled(six, binding(six), 7627)[0] == "wss://[2001:db8::7]:7627"


def test_what_a_hub_was_told_is_not_read_from_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "machine_hosts", lambda _: pytest.fail("read"))
    named = loaded(tmp_path, {"listen": "0.0.0.0:0", "tls": "own", "origin": ["wss://hub.example"]}, {})
    assert dialled(named, binding(named), 7627) == ("wss://hub.example",)
    assert AcceptedOrigins(named, binding(named), 7627)() == {"wss://hub.example", "wss://hub.example:443"}
    one = loaded(tmp_path, {"listen": "192.0.2.7:0"}, {})
    assert dialled(one, binding(one), 7627) == ("wss://192.0.2.7:7627",)


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    settings = loaded(tmp_path, {"store": "redis://hub:secret@store.example/1"}, {})
    shown = checked(settings)
    assert "secret" not in shown.text() + shown.json() + repr(shown)
    assert "store.example" in shown.text()
