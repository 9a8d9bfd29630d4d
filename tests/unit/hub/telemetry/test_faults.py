"""What a log shows of an exception."""

import pytest

from muster_hub.telemetry.faults import fault_fields


def test_a_fault_is_its_type_and_its_innermost_line_without_its_message() -> None:
    with pytest.raises(ValueError, match="hexadecimal") as raised:
        bytes.fromhex("secret")
    fields = fault_fields(raised.value)
    assert fields["error"] == "ValueError"
    assert fields["at"].startswith("test_faults.py:")
    assert "secret" not in repr(fields)


def test_a_fault_that_was_never_raised_has_no_place() -> None:
    assert fault_fields(OSError("secret")) == {"error": "OSError", "at": "unknown"}
