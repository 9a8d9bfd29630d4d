"""The agent's log: lines for a person on a terminal, JSON lines for a service's log."""

import logging
import sys
import time
from collections.abc import MutableMapping
from functools import singledispatchmethod
from typing import Any

import msgspec
import structlog

from muster_client import Device, events
from muster_client.cli.agent.on_session import MAX_PROGRAMS
from muster_client.cli.output.blocked import blocked
from muster_client.cli.output.display import Output
from muster_client.cli.output.failures import NAMELESS, for_people, said_by
from muster_client.cli.output.nicknames import Nicknames, short
from muster_client.doctor import claimed
from muster_client.visible import visible
from muster_protocol.frames import Purpose
from muster_protocol.ids import ClientId
from muster_protocol.reasons import REASONS, Reason, Sayer
from muster_protocol.words import words


class AgentLog:
    """Writes the events of one device's agent."""

    def __init__(self, device: Device, output: Output) -> None:
        self._device = device
        self._output = output
        self._json = output.as_json or not output.terminal
        self._log = structlog.get_logger("muster.agent")

    def started(self) -> None:
        """Write that the agent runs, and how to end it."""
        if self._json:
            self._log.info("agent_started", client=short(self._device.client), hub=self._device.hub_url)
        else:
            self._output.line(f"The agent of this device is running; Ctrl-C ends it. Hub: {self._device.hub_url}")

    def tell(self, event: events.Event) -> None:
        """Write one event."""
        if self._json:
            name, fields = _record(event)
            log = self._log.warning if _needs_a_person(event) else self._log.info
            log(name, **fields)
            return
        said = self._say(event)
        if said:
            self._output.line(self._output.quiet(time.strftime("%H:%M:%S")), "  ", said)

    def program_ended(self, session: str, code: int) -> None:
        """Write that the program of ``--on-session`` ended."""
        self._write("program_ended", session, f"ended with exit code {code}", code=code)

    def program_waits(self, session: str) -> None:
        """Write that a program of ``--on-session`` waits, since as many run as may run at once."""
        self._write("program_waits", session, f"waits: {MAX_PROGRAMS} programs run, and no more run at once")

    def program_not_run(self, session: str) -> None:
        """Write that a program of ``--on-session`` never ran: its session ended while it waited."""
        self._write("program_not_run", session, "was not run: the session ended while it waited")

    def _write(self, name: str, session: str, said: str, **fields: object) -> None:
        if self._json:
            self._log.info(name, session=short(session), **fields)
        else:
            self._output.line(f"{time.strftime('%H:%M:%S')}  the program for session {short(session)} {said}")

    @singledispatchmethod
    def _say(self, event: events.Event) -> str:
        """Return an event in words; empty for events that only the JSON log shows."""
        del event
        return ""

    @_say.register
    def _(self, event: events.Connected) -> str:
        held = "" if event.standing is None else f"; but the hub says: {_sentence(event.standing)}"
        return f"connected to {event.url}{held}"

    @_say.register
    def _(self, event: events.HubPinned) -> str:
        how = "its old key certified the new one" if event.followed else "first meeting"
        return f"trusting the hub's key ({how}): {' '.join(words(event.hub))}"

    @_say.register
    def _(self, event: events.Disconnected) -> str:
        why = event.sentence or event.cause
        said = f"not connected ({why}); next try in {event.retry_in_s:.0f}s"
        if event.reason is None:
            return said
        # That the key changed this device found itself; all else is the hub's word.
        own = event.cause == "hub_key_changed"
        return f"{said}. {REASONS[event.reason].next_step if own else claimed(event.reason, NAMELESS)[1]}"

    @_say.register
    def _(self, event: events.KeepAliveShortened) -> str:
        return f"the network cuts idle connections: pinging the hub every {event.interval_s:.0f}s from now on"

    @_say.register
    def _(self, event: events.DataUnwritable) -> str:
        return f"{event.sentence}: free some space there; this agent keeps running and retries"

    @_say.register
    def _(self, event: events.CloneSuspected) -> str:
        del event
        return "the hub suspects two copies of this device's data: see `muster id confirm --help`"

    @_say.register
    def _(self, event: events.ClockBehind) -> str:
        del event
        return "this device's clock went back by more than a day: set it right; until then its grants do not count"

    @_say.register
    def _(self, event: events.TrustUnconfirmed) -> str:
        return f"a copy of this device's data trusts or granted {len(event.peers)} device(s): see `muster trust review`"

    @_say.register
    def _(self, event: events.TrustEnded) -> str:
        return f"a copy of this device's data ended trust or grants to {event.devices} device(s): `muster trust review`"

    @_say.register
    def _(self, event: events.NotPublished) -> str:
        return f"the hub rejected a {event.kind}: {_sentence(event.reason)}"

    @_say.register
    def _(self, event: events.Invited) -> str:
        return (
            f"{self._call(event.invite.creator)} asks you into a session ({event.invite.mode}): "
            f"muster accept {event.invite.number}, or muster decline {event.invite.number}"
        )

    @_say.register
    def _(self, event: events.InviteAnswered) -> str:
        how = "automatic invite from" if event.purpose is Purpose.AUTO else "invite that asks, from"
        if event.reason is None:
            return f"{how} {self._call(event.creator)} ({event.mode}): accepted"
        return f"{how} {self._call(event.creator)} ({event.mode}): {event.reason}"

    @_say.register
    def _(self, event: events.InviteEnded) -> str:
        return f"invite {event.number} from {self._call(event.creator)} has ended (the hub says: {event.reason})"

    @_say.register
    def _(self, event: events.SessionJoined) -> str:
        return f"joined session {short(event.session)} of {self._call(event.creator)} ({event.mode})"

    @_say.register
    def _(self, event: events.TargetChanged) -> str:
        target, name = event.target, self._call(event.target.client)
        why = "" if target.reason is None else f" ({said_by(target.sayer, name)} says: {target.reason})"
        return f"session {short(event.session)}: {name} {target.state}{why}"

    @_say.register
    def _(self, event: events.MembersChanged) -> str:
        blocking = [blocked(self._call(member.client)) for member in event.members if member.blocks]
        return f"session {short(event.session)}: {' '.join(blocking)}" if blocking else ""

    @_say.register
    def _(self, event: events.SessionEnded) -> str:
        if event.reason is None:
            why = ""
        else:
            # The sentences are about another device, and the hub may mean this one: its word is shown as it came.
            said = event.reason if event.sayer is Sayer.HUB else _sentence(event.reason)
            why = f" ({said_by(event.sayer)} says: {said})"
        return f"session {short(event.session)} has ended for this device{why}"

    @_say.register
    def _(self, event: events.Missed) -> str:
        return f"{event.count} events were skipped here, since this log was too slow"

    def _call(self, client: ClientId) -> str:
        # Read each time: a nickname may have been given since.
        return Nicknames(self._device).call(client)


def configure_logs(*, as_json: bool) -> None:
    """Send the library's own log records with the agent's: JSON lines to stdout, or only warnings to the terminal."""
    level = logging.INFO if as_json else logging.WARNING
    # JSON is written in ASCII, with every other character as its escape.
    renderers = [structlog.processors.JSONRenderer()] if as_json else [_visible_fields, structlog.dev.ConsoleRenderer()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout if as_json else sys.stderr),
    )


def _visible_fields(_: object, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return a record whose texts a terminal can show (``visible``)."""
    return {name: visible(value) if isinstance(value, str) else value for name, value in fields.items()}


def _record(event: events.Event) -> tuple[str, dict[str, Any]]:
    """Return an event's constant name and its fields."""
    fields: dict[str, Any] = msgspec.to_builtins(event, builtin_types=(bytes,))
    readable = {name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()}
    return readable.pop("event"), readable


def _needs_a_person(event: events.Event) -> bool:
    """Return whether it goes on like this until a person acts."""
    if isinstance(event, events.Disconnected):
        return event.reason is not None and not REASONS[event.reason].retry
    return isinstance(
        event,
        events.NotPublished
        | events.CloneSuspected
        | events.ClockBehind
        | events.TrustUnconfirmed
        | events.TrustEnded
        | events.DataUnwritable
        | events.Stopped,
    )


def _sentence(reason: Reason) -> str:
    return for_people(REASONS[reason].sentence, NAMELESS)
