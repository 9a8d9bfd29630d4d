"""What a key for an application cannot be made of, beside the vectors."""

import pytest

from muster_protocol.errors import Refused
from muster_protocol.export import export_key
from muster_protocol.ids import Hash
from muster_protocol.reasons import Reason
from muster_protocol.sealing import EpochKey


def test_a_label_without_utf_8_is_malformed() -> None:
    with pytest.raises(Refused) as caught:
        export_key(EpochKey(bytes(32)), Hash(bytes(32)), "\ud800", 32)
    assert caught.value.reason is Reason.MALFORMED
