"""What each request of the private socket does."""

from collections.abc import Callable

from muster_hub.admin.messages import (
    AllowDevice,
    AnyReply,
    AnyRequest,
    Changed,
    EndEnrolment,
    Enrolment,
    Failed,
    InvitationMade,
    ListEnrolment,
    MakeInvitation,
)
from muster_hub.context import NodeContext
from muster_hub.enrolment.codes import known_codes, make_code, withdraw_code
from muster_hub.enrolment.devices import enrol, enrolled_devices, unenrol
from muster_hub.store.errors import StoreUnavailable
from muster_protocol.enrolment import Invitation
from muster_protocol.errors import Refused
from muster_protocol.ids import ID_CHARS, ClientId
from muster_protocol.reasons import REASONS


class Verbs:
    """The verbs of one node; ``url`` returns what an invitation names."""

    __slots__ = ("_context", "_url")

    def __init__(self, context: NodeContext, url: Callable[[], str]) -> None:
        self._context = context
        self._url = url

    async def do(self, request: AnyRequest) -> AnyReply:
        """Answer one request; raises nothing but what is a mistake in the hub."""
        try:
            return await self._do(request)
        except Refused as refused:
            return Failed(sentence=refused.detail or REASONS[refused.reason].sentence, reason=refused.reason)
        except StoreUnavailable as error:
            return Failed(sentence=REASONS[error.reason].sentence, reason=error.reason)

    async def _do(self, request: AnyRequest) -> AnyReply:
        context, store = self._context, self._context.store
        match request:
            case MakeInvitation():
                return await self._invite()
            case ListEnrolment():
                return await self._enrolment()
            case AllowDevice(client=client):
                return Changed(changed=await enrol(store, client))
            case EndEnrolment(what=what) if len(what) == ID_CHARS:
                return Changed(changed=await unenrol(context, ClientId(what)))
            case EndEnrolment(what=what):
                return Changed(changed=await withdraw_code(store, what))

    async def _invite(self) -> AnyReply:
        which = self._context.settings.enrolment
        if which != "invited":
            return Failed(sentence=f"No device comes to this hub by an invitation: its enrolment is {which}.")
        code, expires_at = await make_code(self._context.store)
        invitation = Invitation(self._url(), self._context.key.fingerprint, code)
        return InvitationMade(invitation=invitation.text(), expires_at=expires_at)

    async def _enrolment(self) -> Enrolment:
        store = self._context.store
        return Enrolment(
            which=self._context.settings.enrolment or "open",
            codes=tuple(await known_codes(store)),
            devices=tuple(await enrolled_devices(store)),
        )
