"""``muster agent status`` and ``muster doctor``, as their users meet them: with an agent and a hub as processes."""

import json

from muster_client.device.device import Device
from muster_protocol.ids import Fingerprint


def test_status_tells_of_a_running_agent(house):
    done = house["nas"].ok("agent", "status", "--json")
    document = done.document
    assert document["connected"] is True
    assert (document["unpublished"], document["keep_alive_ms"], document["keep_alive_learnt"]) == (0, 20_000, False)
    assert document["last_drop"] is None
    people = house["nas"].ok("agent", "status").out
    assert f"process {document['pid']}" in people
    assert "every 20 s" in people


def test_status_2_it_runs_and_is_not_connected(laptop):
    agent = laptop.start("agent", "--json")
    agent.hear('"event": "disconnected"')
    done = laptop.run("agent", "status", "--json")
    assert done.code == 2
    assert done.document["connected"] is False
    assert done.document["last_drop"]["cause"] == "unreachable"
    assert "nothing listens there" in done.document["last_drop"]["sentence"]
    assert "nothing listens there" in laptop.run("agent", "status").out
    assert agent.end() == 0


def test_doctor_finds_all_in_order(house):
    document = house["nas"].ok("doctor", "--json").document
    assert document["state"] == "ok", document
    checks = [one["check"] for one in document["findings"]]
    assert checks == [
        *("device", "key", "data", "agent", "proxy", "dns", "tcp", "tls", "hub", "hub_key", "clock"),
        *("welcome", "round_trip", "keep_alive", "statements", "trust"),
    ]
    assert all(line.startswith("ok ") for line in house["nas"].ok("doctor").out.splitlines())


def test_doctor_finds_a_hub_with_another_key(new_cli, hub_url):
    made = new_cli("misled")
    with Device.create(made.folder, hub_url=hub_url) as device:
        device.pin_hub(Fingerprint(b"\1" * 32))
    done = made.run("doctor", "--json")
    assert done.code == 1
    failed = [one for one in done.document["findings"] if one["state"] == "fail"]
    assert [one["check"] for one in failed] == ["hub_key"]
    assert "muster hub trust" in failed[0]["next_step"]


def test_a_session_whose_only_target_cannot_be_called_is_closed_again(house):
    laptop = house["laptop"]
    done = laptop.run("session", "start", "attic", "--json")
    assert done.code == 1
    document = json.loads(done.out)
    assert document["closed"] is True
    open_ones = [one["session"] for one in laptop.ok("session", "list", "--json").document["sessions"] if one["open"]]
    assert document["session"] not in open_ones
    people = laptop.run("session", "start", "attic", "--wait")
    assert people.code == 1
    assert "(closed: every target refused)" in people.out


def test_an_authority_is_named_once_and_remembered(cli, tmp_path):
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nonsense")
    assert "no PEM certificate" in cli.fails(5, "init", "--tls-ca", str(wrong)).err
    assert "no_device" in cli.fails(1, "id").err, "nothing was made"
    cli.ok("init", "--tls-ca", "system")
