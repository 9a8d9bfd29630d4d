"""What the agent's log shows of each event, to a person and to a service's log."""

import json
from collections.abc import Iterator

import pytest
import structlog

from muster_client import Device, events
from muster_client.cli.agent.log import AgentLog, configure_logs
from muster_client.cli.output.display import Output
from muster_client.events import InboxEntry, Progress, Target
from muster_protocol.cards import Mode
from muster_protocol.frames import MemberState, Purpose
from muster_protocol.ids import ClientId, Fingerprint, SessionId, TimeMs
from muster_protocol.labels import Kind
from muster_protocol.reasons import REASONS, Reason, Sayer
from muster_protocol.words import words

SESSION = SessionId("s" * 32)
HUB = Fingerprint(bytes(32))
NAS = ClientId("n" * 32)
PHONE = ClientId("p" * 32)


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave the log as the other tests of this process expect it."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture
def device(laptop) -> Iterator[Device]:
    with Device.open(laptop.folder) as opened:
        opened.peers.trust(NAS, Fingerprint(bytes(32)), "nas")
        yield opened


@pytest.fixture
def on_terminal(device: Device) -> AgentLog:
    output = Output()
    output.terminal = True
    return AgentLog(device, output)


@pytest.fixture
def as_json(device: Device) -> AgentLog:
    return AgentLog(device, Output())


ENTRY = InboxEntry(
    id="0123456789abcdef" * 2,
    number=7,
    creator=NAS,
    session=SESSION,
    mode=Mode.INVENTORY,
    profile=None,
    received_at=TimeMs(1),
    expires_at=TimeMs(2),
)


def answered(purpose: Purpose, reason: Reason | None) -> events.InviteAnswered:
    return events.InviteAnswered(creator=NAS, session=SESSION, mode=Mode.JOIN, purpose=purpose, reason=reason)


def ended(reason: Reason | None, sayer: Sayer) -> events.SessionEnded:
    return events.SessionEnded(session=SESSION, reason=reason, sayer=sayer)


def changed(state: Progress, reason: Reason | None = None) -> events.TargetChanged:
    return events.TargetChanged(session=SESSION, target=Target(client=NAS, state=state, reason=reason))


SENTENCES = [
    (events.Connected(url="ws://127.0.0.1:1", hub=HUB, connection=1, standing=None), "connected to ws://127.0.0.1:1"),
    (
        events.Connected(url="ws://127.0.0.1:1", hub=HUB, connection=1, standing=Reason.CLONE_SUSPECTED),
        "; but the hub says: ",
    ),
    (events.HubPinned(hub=HUB, followed=False), f"trusting the hub's key (first meeting): {' '.join(words(HUB))}"),
    (events.HubPinned(hub=HUB, followed=True), "(its old key certified the new one)"),
    (
        events.Disconnected(cause="closed", retry_in_s=2.4, sentence="it stops"),
        "not connected (it stops); next try in 2s",
    ),
    (events.Disconnected(cause="timeout", retry_in_s=2.0), "not connected (timeout); next try in 2s"),
    (
        events.Disconnected(cause="hub_key_changed", retry_in_s=60.0, reason=Reason.HUB_KEY_CHANGED, sentence="it did"),
        (
            "not connected (it did); next try in 60s. Compare the hub's fingerprint with its operator, then run "
            "`muster hub trust`."
        ),
    ),
    (
        events.MembersChanged(
            session=SESSION,
            epoch=2,
            members=(
                events.MemberView(client=PHONE, state=MemberState.JOINED),
                events.MemberView(client=NAS, state=MemberState.OUT, blocks=True),
            ),
        ),
        (
            "session ssssssss: No device is admitted: the hub says that nas is no member, and has no statement of it "
            "that says so. Let nas leave the session, or end your trust: muster trust remove nas"
        ),
    ),
    (events.KeepAliveShortened(interval_s=7.0), "pinging the hub every 7s from now on"),
    (events.DataUnwritable(sentence="The disk is full"), "The disk is full: free some space there"),
    (events.CloneSuspected(), "see `muster id confirm --help`"),
    (events.TrustEnded(devices=2), "ended trust or grants to 2 device(s): `muster trust review`"),
    (events.TrustUnconfirmed(peers=(NAS,)), "trusts or granted 1 device(s): see `muster trust review`"),
    (events.NotPublished(kind=Kind.GRANT, serial=1, reason=Reason.OVERLOADED), "the hub rejected a grant: "),
    (events.Invited(invite=ENTRY), "nas asks you into a session (inventory): muster accept 7"),
    (
        answered(Purpose.AUTO, None),
        "automatic invite from nas (join): accepted",
    ),
    (
        answered(Purpose.ASK, Reason.DECLINED),
        "invite that asks, from nas (join): declined",
    ),
    (
        events.InviteEnded(id=ENTRY.id, number=7, creator=NAS, reason=Reason.CANCELLED),
        "invite 7 from nas has ended (the hub says: cancelled)",
    ),
    (
        events.SessionJoined(session=SESSION, creator=NAS, mode=Mode.JOIN, profile=None),
        "joined session ssssssss of nas (join)",
    ),
    (
        changed(Progress.JOINED),
        "session ssssssss: nas joined\n",
    ),
    (
        changed(Progress.REFUSED, Reason.OFFLINE),
        "session ssssssss: nas refused (this device says: offline)\n",
    ),
    (
        ended(None, Sayer.DEVICE),
        "session ssssssss has ended for this device\n",
    ),
    (
        ended(Reason.SESSION_CLOSED, Sayer.HUB),
        "session ssssssss has ended for this device (the hub says: session_closed)\n",
    ),
    (
        ended(Reason.EPOCH_FORKED, Sayer.DEVICE),
        f"has ended for this device (this device says: {REASONS[Reason.EPOCH_FORKED].sentence})",
    ),
    (events.Missed(count=3), "3 events were skipped here"),
]


@pytest.mark.parametrize(("event", "sentence"), SENTENCES, ids=lambda value: type(value).__name__)
def test_an_event_is_one_line_with_its_time_on_a_terminal(
    on_terminal: AgentLog, event: events.Event, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    on_terminal.tell(event)
    line = capsys.readouterr().out
    assert sentence in line
    assert line.count("\n") == 1


def test_events_for_machines_are_not_shown_on_a_terminal(
    on_terminal: AgentLog, capsys: pytest.CaptureFixture[str]
) -> None:
    on_terminal.tell(events.Published(kind=Kind.CARD, serial=1))
    on_terminal.tell(events.PeerChanged(peer=NAS, kind=Kind.CARD))
    assert capsys.readouterr().out == ""


def test_a_clock_that_went_back_is_told_to_the_person(
    on_terminal: AgentLog, capsys: pytest.CaptureFixture[str]
) -> None:
    on_terminal.tell(events.ClockBehind())
    assert "this device's clock went back by more than a day: set it right" in capsys.readouterr().out


def test_start_and_end_of_a_program_on_a_terminal(on_terminal: AgentLog, capsys: pytest.CaptureFixture[str]) -> None:
    on_terminal.started()
    on_terminal.program_waits(SESSION)
    on_terminal.program_not_run(SESSION)
    on_terminal.program_ended(SESSION, 3)
    started, waits, not_run, ended = capsys.readouterr().out.splitlines()
    assert "Ctrl-C ends it" in started
    assert waits.endswith("the program for session ssssssss waits: 32 programs run, and no more run at once")
    assert not_run.endswith("the program for session ssssssss was not run: the session ended while it waited")
    assert ended.endswith("the program for session ssssssss ended with exit code 3")


def test_a_services_log_has_one_json_object_an_event_with_whole_ids_and_bytes_in_hex(
    as_json: AgentLog, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(
        as_json=True
    )  # not in a fixture: the standard output of the test is another one than that of its setup
    as_json.started()
    as_json.tell(events.HubPinned(hub=HUB, followed=True))
    as_json.tell(events.Published(kind=Kind.CARD, serial=1))
    as_json.program_waits(SESSION)
    as_json.program_ended(SESSION, 0)
    started, pinned, published, waits, ended = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (started["event"], started["hub"]) == ("agent_started", "ws://127.0.0.1:1")
    assert (pinned["event"], pinned["hub"], pinned["followed"]) == ("hub_pinned", HUB.hex(), True)
    assert (published["event"], published["kind"]) == ("published", "card")
    assert (waits["event"], waits["session"]) == ("program_waits", "s" * 8)
    assert (ended["event"], ended["code"]) == ("program_ended", 0)


def test_on_a_terminal_the_librarys_warnings_are_shown_and_can_command_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs(as_json=False)
    log = structlog.get_logger("muster.agent")
    log.info("not shown")
    log.warning("shown", text="a\x1b[2Jb", count=1)
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert out == ""
    assert r"a\x1b[2Jb" in line


def test_no_close_of_a_hub_has_a_person_give_up_an_identity(on_terminal: AgentLog, capsys):
    on_terminal.tell(events.Disconnected(cause="closed_4501", retry_in_s=1, reason=Reason.DEVICE_REVOKED))
    said = capsys.readouterr().out
    assert "not connected (closed_4501)" in said
    assert "muster init" not in said
