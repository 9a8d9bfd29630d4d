"""Loading a renewed certificate while the hub runs: when a file changes, and on request."""

import asyncio

import structlog

from muster_hub.config.certificate import ServerCertificate, describe_expiry, now_utc
from muster_hub.config.settings import SettingError

LOOK_EVERY_S = 5.0
"""How often the files are checked."""
WARN_EVERY_S = 24 * 3600.0
"""How often the log repeats that a certificate has expired."""

_log = structlog.get_logger(__name__)


class CertificateRenewal:
    """Keeps one certificate current: ``run`` beside the node, ``now`` to check at once."""

    __slots__ = ("_asked", "_certificate", "_warned_at_s")

    def __init__(self, certificate: ServerCertificate) -> None:
        self._certificate = certificate
        self._asked = asyncio.Event()
        self._warned_at_s: float | None = None

    def now(self) -> None:
        """Load the files again soon, even if they seem unchanged."""
        self._asked.set()

    async def run(self) -> None:
        """Check the files periodically until cancelled."""
        while True:
            self._warn()
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._asked.wait()
            except TimeoutError:
                if not self._certificate.renewed():
                    continue
            self._asked.clear()
            self._reload()

    def _reload(self) -> None:
        try:
            self._certificate.reload()
        except SettingError as error:
            # Perhaps half of a renewal: the other file changes next, and then it is loaded.
            _log.warning("certificate_not_renewed", why=str(error))
            return
        self._warned_at_s = None
        _log.info("certificate_renewed", host=self._certificate.host, not_after=f"{self._certificate.not_after:%F}")

    def _warn(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._warned_at_s is not None and now_s - self._warned_at_s < WARN_EVERY_S:
            return
        fault = describe_expiry(self._certificate, now_utc())
        if fault:
            self._warned_at_s = now_s
            _log.warning("certificate_not_valid", host=self._certificate.host, why=fault)
