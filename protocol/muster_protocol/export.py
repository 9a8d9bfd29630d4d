"""Keys for applications, derived from an epoch's key (SPEC.md section 7.6)."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from muster_protocol.errors import Refused
from muster_protocol.ids import Hash
from muster_protocol.labels import EXPORT
from muster_protocol.reasons import Reason
from muster_protocol.sealing import EpochKey

MIN_EXPORT_BYTES = 16
MAX_EXPORT_BYTES = 64
MAX_LABEL_CHARS = 64
"""Unicode characters of an application's label, not bytes; its UTF-8 goes into the derivation."""


def export_key(key: EpochKey, epoch: Hash, label: str, length: int) -> bytes:
    """Return a key of ``length`` bytes for one use of an application, derived from the key of the epoch ``epoch``.

    Raises ``Refused(malformed)`` unless there are 16 to 64 bytes, and 1 to 64 characters of label that have a UTF-8.
    """
    if not MIN_EXPORT_BYTES <= length <= MAX_EXPORT_BYTES:
        raise Refused(Reason.MALFORMED, f"a key has {MIN_EXPORT_BYTES} to {MAX_EXPORT_BYTES} bytes")
    if not 1 <= len(label) <= MAX_LABEL_CHARS:
        raise Refused(Reason.MALFORMED, f"a label has 1 to {MAX_LABEL_CHARS} characters")
    try:
        info = EXPORT + epoch + label.encode()
    except UnicodeEncodeError:
        raise Refused(Reason.MALFORMED, "a label without UTF-8") from None
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(key)
