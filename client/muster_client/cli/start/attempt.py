"""One ``session start``: its targets, its outcome, and its exit code."""

from collections.abc import Iterator
from dataclasses import dataclass

from muster_client.cli.output.exit_codes import ExitCode
from muster_client.control import Blocking, Settled, StartUpdate, TargetUpdate
from muster_client.events import Progress, Target
from muster_protocol.ids import ClientId, SessionId


@dataclass(slots=True)
class Attempt:
    """A session that is being started, as known here."""

    targets: dict[ClientId, Target]
    wait: bool
    session: SessionId | None = None
    settled: bool = False
    blocking: tuple[ClientId, ...] = ()
    """Members for which the hub admits no device."""
    closed: bool = False

    def take(self, update: StartUpdate) -> Iterator[Target]:
        """Apply an update from the agent; yield the targets that changed."""
        if isinstance(update, TargetUpdate):
            news: tuple[Target, ...] = (update.target,)
        elif isinstance(update, Blocking):
            self.blocking, news = update.members, ()
        else:
            self.session = update.session.id
            self.settled = isinstance(update, Settled)
            news = update.session.targets
        for target in news:
            if self.targets.get(target.client) != target:
                self.targets[target.client] = target
                yield target

    @property
    def over(self) -> bool:
        """Everything that this command waits for has happened."""
        if self.settled:
            return True
        return self.session is not None and not self.wait and not self._in_state(Progress.CALLED)

    @property
    def joined(self) -> bool:
        """At least one target has joined."""
        return self._in_state(Progress.JOINED)

    @property
    def in_vain(self) -> bool:
        """The session was created, and every target refused."""
        return self.session is not None and all(one.state is Progress.REFUSED for one in self.targets.values())

    def exit_code(self, *, timed_out: bool = False) -> ExitCode:
        """Return the exit code."""
        if self.session is None:
            return ExitCode.NOT_CREATED
        if timed_out and self.wait:
            return ExitCode.TIMED_OUT
        states = {target.state for target in self.targets.values()}
        good = {Progress.JOINED} if self.wait else {Progress.DELIVERED, Progress.ACCEPTED, Progress.JOINED}
        return ExitCode.OK if states <= good else ExitCode.NOT_DONE

    def _in_state(self, state: Progress) -> bool:
        return any(target.state is state for target in self.targets.values())


def called(targets: tuple[ClientId, ...]) -> dict[ClientId, Target]:
    """Return the targets of a new session, all just called."""
    return {client: Target(client=client, state=Progress.CALLED) for client in targets}
