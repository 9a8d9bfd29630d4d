"""One run of ``session start``, from the request to the exit code."""

import signal
from collections.abc import Sequence

from muster_client import ControlClient, SessionRequest
from muster_client.cli.output.blocked import how_unblocked, why_blocked
from muster_client.cli.output.display import Output
from muster_client.cli.output.documents import BlockingFields, StartDocument, TargetFields
from muster_client.cli.output.exit_codes import ExitCode
from muster_client.cli.output.failures import Failure, Word, from_reason
from muster_client.cli.output.from_errors import from_error
from muster_client.cli.output.nicknames import Nicknames, short
from muster_client.cli.output.report_failure import tell
from muster_client.cli.start.attempt import Attempt
from muster_client.cli.start.interrupts import CutShort, cut_short_after
from muster_client.cli.start.progress import view_for, whose
from muster_client.control import Blocking
from muster_client.errors import HubError, NoAgent, Obstacle, UnknownSession
from muster_client.events import Progress, Target
from muster_protocol.errors import MusterError
from muster_protocol.ids import ClientId, SessionId
from muster_protocol.reasons import REASONS, Category, Reason

_TIME_IS_UP = Failure(
    Word.WAIT_TIMED_OUT,
    "The wait timed out; open invites stay until they expire.",
    "See them with `muster session show`, or use a longer --timeout.",
)


def is_about_trust(reason: Reason) -> bool:
    """Return whether a reason means exit code 2."""
    return REASONS[reason].category is Category.TRUST


class Run:
    """Follows one attempt from the request to the exit code."""

    def __init__(
        self, agent: ControlClient, request: SessionRequest, attempt: Attempt, names: Nicknames, output: Output
    ) -> None:
        self._agent = agent
        self._request = request
        self._attempt = attempt
        self._names = names
        self._output = output

    def follow(self, timeout_ms: int) -> ExitCode:
        """Show progress until the attempt is over, times out, or is interrupted."""
        try:
            with cut_short_after(timeout_ms), view_for(self._output, self._names, self._attempt.targets) as view:
                updates = self._agent.start(self._request)
                for update in updates:
                    for target in self._attempt.take(update):
                        view.show(target)
                    if isinstance(update, Blocking):
                        self._tell_blocking()
                    if self._attempt.over:
                        break
        except CutShort as cut:
            return self._timed_out() if cut.signal is signal.SIGALRM else self._given_up(cut.signal)
        code = self._attempt.exit_code()
        if self._attempt.in_vain:
            self._close_again()
        return self._conclude(code)

    def refused_here(self, obstacles: Sequence[Obstacle]) -> ExitCode:
        """Report the refusals from this device's own data; no session was created."""
        for one in obstacles:
            self._attempt.targets[one.peer] = Target(
                client=one.peer, state=Progress.REFUSED, reason=one.reason, sayer=one.sayer
            )
        untrusted = any(is_about_trust(one.reason) for one in obstacles)
        code = ExitCode.NOT_TRUSTED if untrusted else ExitCode.NOT_CREATED
        if self._output.as_json:
            self._output.document(self._document(code))
        else:
            self._output.note("error: No session was created.")
            self._tell_refusals()
        return code

    def broken_off(self, error: MusterError) -> Exception:
        """Return the failure for an error: exit code 3 if no session exists yet, unless the error has its own."""
        failure = from_error(error)
        if failure is None:
            return error
        if failure.exit_code is ExitCode.NOT_DONE and self._attempt.session is None:
            failure.exit_code = ExitCode.NOT_CREATED
        return failure

    def _timed_out(self) -> ExitCode:
        code = self._attempt.exit_code(timed_out=True)
        tell(_TIME_IS_UP, as_json=False)
        return self._conclude(code)

    def _given_up(self, number: signal.Signals) -> ExitCode:
        """Withdraw the open invites; close a session without members."""
        if self._attempt.session is None:
            # The agent calls no device before this command has the session; it closes one that it cannot hand over.
            self._output.note("No device was called.")
        else:
            self._withdraw(self._attempt.session)
        code = ExitCode.TERMINATED if number is signal.SIGTERM else ExitCode.INTERRUPTED
        if self._output.as_json:
            self._output.document(self._document(code))
        return code

    def _withdraw(self, session: SessionId) -> None:
        try:
            self._agent.cancel(session)
            if self._attempt.joined:
                stays = f"session {short(session)} stays open for the members"
                self._output.note(f"The open invites were withdrawn; {stays}.")
                return
            self._agent.close_session(session)
        except UnknownSession:
            # It has ended meanwhile, and its invites with it.
            pass
        self._attempt.closed = True
        self._output.note("The open invites were withdrawn.")

    def _close_again(self) -> None:
        """Close a session that no target joined or still can join."""
        if self._attempt.session is None:
            return
        try:
            self._agent.close_session(self._attempt.session)
        except UnknownSession:
            # It has ended meanwhile.
            pass
        except (HubError, NoAgent) as error:
            self._output.note(f"note:  The session could not be closed: {error}.")
            return
        self._attempt.closed = True

    def _conclude(self, code: ExitCode) -> ExitCode:
        if self._output.as_json:
            self._output.document(self._document(code))
            return code
        if self._attempt.session is not None:
            ending = " (closed: every target refused)" if self._attempt.closed else ""
            self._output.line(f"session {self._attempt.session}{ending}")
        self._tell_refusals()
        return code

    def _tell_refusals(self) -> None:
        for target in self._attempt.targets.values():
            if target.reason is not None:
                tell(from_reason(target.reason, whose(target), self._names.call(target.client)), as_json=False)

    def _tell_blocking(self) -> None:
        for client in self._attempt.blocking:
            name = self._names.call(client)
            self._output.note(f"note:  {why_blocked(name)}")
            self._output.note(f"next:  {how_unblocked(name)}")

    def _document(self, code: ExitCode) -> StartDocument:
        return StartDocument(
            session=self._attempt.session,
            closed=self._attempt.closed,
            mode=self._request.mode.value,
            profile=self._request.profile,
            kind=self._request.kind.value,
            purpose=self._request.purpose.value,
            exit_code=code,
            targets=tuple(self._fields(target) for target in self._attempt.targets.values()),
            blocking=tuple(self._blocking(client) for client in self._attempt.blocking),
        )

    def _blocking(self, client: ClientId) -> BlockingFields:
        name = self._names.call(client)
        return BlockingFields(
            nickname=self._names.get(client),
            client=client,
            sentence=why_blocked(name),
            next_step=how_unblocked(name),
        )

    def _fields(self, target: Target) -> TargetFields:
        name = self._names.call(target.client)
        failure = None
        if target.reason is not None:
            failure = from_reason(target.reason, whose(target), name)
        return TargetFields(
            nickname=self._names.get(target.client),
            client=target.client,
            state=target.state.value,
            reason=None if target.reason is None else target.reason.value,
            said_by=whose(target).value,
            sentence=None if failure is None else failure.sentence,
            next_step=None if failure is None else failure.next_step,
            after_ms=target.after_ms,
        )
