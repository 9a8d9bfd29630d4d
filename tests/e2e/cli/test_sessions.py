"""``muster session start`` in each of its endings, with a hub and agents that are processes of their own."""

import json
import signal

import pexpect
import pytest


def started(done):
    return json.loads(done.out.splitlines()[-1])


def test_0_all_are_invited(house):
    done = house["laptop"].run("session", "start", "nas")
    assert done.code == 0
    assert "nas  delivered  (the hub says)" in done.out
    assert done.err == ""


def test_0_all_joined_and_it_says_so_as_it_happens(house):
    done = house["laptop"].run("session", "start", "nas", "--wait")
    assert done.code == 0
    *lines, last = done.out.splitlines()
    steps = [line.strip().split("  ")[-3:] for line in lines]
    ways = [
        ["nas", "called", "(this device says)"],
        ["nas", "delivered", "(the hub says)"],
        ["nas", "accepted", "(nas says)"],
        ["nas", "joined", "(nas says)"],
    ]
    # A step that was over before this command could see it is not told; those that are told are in order.
    assert steps == [way for way in ways if way in steps]
    assert steps[-1] == ways[-1]
    assert last.startswith("session ")


def test_1_somebody_could_not_be_called_in(house):
    done = house["laptop"].run("session", "start", "nas", "attic", "--json")
    assert done.code == 1
    document = started(done)
    assert document["session"] is not None
    attic = document["targets"][1]
    assert (attic["state"], attic["reason"], attic["said_by"]) == ("refused", "offline", "hub")
    assert attic["sentence"] == "attic is offline."
    assert "muster agent" in attic["next_step"]


def test_1_somebody_who_does_not_trust_back_is_told_by_the_hub(house):
    done = house["laptop"].run("session", "start", "guest")
    assert done.code == 1
    assert "guest has not trusted you" in done.err
    assert "(the hub says: not_mutually_trusted)" in done.err
    assert "next:  On guest, run `muster trust add`" in done.err


def test_1_a_person_who_declines_is_the_one_who_says_so(house):
    laptop, phone = house["laptop"], house["phone"]
    screen = laptop.terminal("session", "start", "phone", "--ask", "--wait")
    phone.agents[0].hear('"event": "invited"')
    (waiting,) = phone.ok("inbox", "--json").document["invites"]
    phone.ok("decline", waiting["id"])
    screen.expect_exact("phone declined.")
    screen.expect_exact("(phone says: declined)")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 1


def test_3_the_hub_is_away(laptop, nas):
    laptop.trust("nas", nas)
    laptop.grant("nas")
    agent = laptop.start("agent", "--json")
    agent.hear('"event": "disconnected"')
    assert "hub_unreachable" in laptop.fails(3, "session", "start", "nas").err
    assert agent.end() == 0


def test_4_wait_runs_out_of_time(house):
    done = house["laptop"].run("session", "start", "phone", "--ask", "--wait", "--timeout", "1s", "--json")
    assert done.code == 4
    document = started(done)
    assert document["exit_code"] == 4
    assert document["targets"][0]["state"] == "delivered"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_withdraws_the_open_invites(house, number, code):
    phone = house["phone"]
    before = {invite["id"] for invite in phone.ok("inbox", "--json").document["invites"]}
    screen = house["laptop"].terminal("session", "start", "phone", "--ask", "--wait")
    screen.expect_exact("delivered")
    phone.agents[0].hear('"event": "invited"')
    screen.kill(number)
    screen.expect_exact("The open invites were withdrawn.")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == code
    phone.agents[0].hear('"event": "invite_ended"')
    assert {invite["id"] for invite in phone.ok("inbox", "--json").document["invites"]} == before


def test_on_a_terminal_the_table_changes_in_place(house):
    screen = house["laptop"].terminal("session", "start", "nas", "--wait")
    screen.expect_exact("joined")
    screen.expect_exact("session ")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 0


def test_an_agent_tells_calmly_on_a_terminal_and_ends_with_ctrl_c(house, hub_url):
    idle = house["idle"]
    screen = idle.terminal("agent", NO_COLOR="1")
    screen.expect_exact("The agent of this device is running; Ctrl-C ends it.")
    screen.expect_exact(f"connected to {hub_url}")
    screen.sendintr()
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 0


def test_one_agent_per_device(house):
    done = house["nas"].process("agent")
    assert (done.code, "agent_running" in done.err) == (1, True)


def test_who_watches_until_ctrl_c(house):
    screen = house["laptop"].terminal("who", "attic", "--watch", NO_COLOR="1")
    screen.expect_exact("offline")
    agent = house["attic"].start("agent", "--json")
    agent.hear('"event": "connected"')
    screen.expect_exact("online")
    assert agent.end() == 0
    screen.sendintr()
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 130


def test_a_program_runs_for_each_session_and_sees_no_key(house, new_cli, hub_url):
    guest = new_cli("runner")
    guest.ok("init", "--hub", hub_url)
    guest.trust("nas", house["nas"])
    guest.grant("nas")
    house["nas"].trust("runner", guest)
    house["nas"].grant("runner")
    house["nas"].ok("who", "runner")
    agent = guest.start("agent", "--json", "--on-session", 'echo "ran $MUSTER_MODE $MUSTER_PROFILE by $MUSTER_CREATOR"')
    agent.hear('"event": "connected"')
    guest.ok("session", "start", "nas", "--mode", "inventory", "--profile", "photos")
    assert agent.hear("ran inventory photos by ").strip() == guest.id_text.split(":")[1]
    agent.hear('"event": "program_ended"')
    assert agent.end() == 0
