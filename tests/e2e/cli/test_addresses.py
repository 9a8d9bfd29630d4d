"""An address that leads nowhere, or to a hub that does not answer to it, and how a person sets another one."""

import pytest

NO_HUB = "ws://127.0.0.1:9"
"""Where no hub listens."""


@pytest.fixture
def device(new_cli, hub_url):
    made = new_cli("device")
    made.ok("init", "--hub", hub_url)
    return made


def test_a_wrong_origin_is_named_with_those_that_the_hub_answers_to(device, hub_url):
    alias = hub_url.replace("127.0.0.1", "127.1")
    device.ok("hub", "use", "--insecure", alias)
    done = device.fails(1, "session", "list")
    assert "wrong_origin" in done.err
    assert alias in done.err
    assert hub_url in done.err
    assert "muster hub use" in done.err
    shown = device.run("doctor", "--json").document["findings"]
    (welcome,) = [each["sentence"] for each in shown if each["check"] == "welcome"]
    assert alias in welcome
    assert hub_url in welcome


def test_the_addresses_of_a_hub_are_tried_in_turn(device, hub_url):
    document = device.ok("hub", "use", NO_HUB, hub_url, "--json").document
    assert document == {"hub_urls": [NO_HUB, hub_url]}
    device.ok("session", "list")
    agent = device.start("agent", "--json")
    agent.hear(f'"url": "{hub_url}"')
    assert agent.end() == 0


@pytest.mark.parametrize("urls", [("http://hub.example",), ("wss://hub.example",) * 9, ("ws://hub.example",)])
def test_an_address_that_cannot_be_is_refused_and_changes_nothing(device, hub_url, urls):
    device.fails(5, "hub", "use", *urls)
    assert device.ok("id", "--json").document["hub_url"] == hub_url
