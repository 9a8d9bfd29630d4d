"""What a device remembers from one connect to the next: an invitation that waits, and how its hub's TLS was judged."""

from muster_client.device.meta import Meta
from muster_protocol.ids import EnrolmentCode


class HubMemory:
    """Short-lived knowledge of the device's hub; another hub begins without any."""

    __slots__ = ("_meta",)

    def __init__(self, meta: Meta) -> None:
        self._meta = meta

    @property
    def invitation(self) -> EnrolmentCode | None:
        """The code of an invitation that the hub did not take yet."""
        return self._meta.invitation()

    def forget_invitation(self) -> None:
        """Delete that code: the hub took it."""
        self._meta.keep_invitation(None)

    @property
    def by_hub_key(self) -> bool | None:
        """Whether the hub's key vouched for its TLS the last time; False: an authority did; None: no connect yet."""
        return self._meta.by_hub_key()

    def note_tls(self, *, by_hub_key: bool) -> None:
        """Remember how its TLS was judged, so that the next connect needs one try; written only where that is new."""
        if self.by_hub_key is not by_hub_key:
            self._meta.note_by_hub_key(vouched=by_hub_key)
