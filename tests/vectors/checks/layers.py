"""At which layer an input was refused: read from where the refusal was raised (protocol/vectors/README.md)."""

import traceback
from pathlib import Path

from muster_protocol.errors import Refused

_RAISED_IN = {
    ("codec", "unpack"): "encoding",
    ("codec", "_check_depth"): "encoding",
    ("codec", "__call__"): "encoding",
    ("codec", "decode_closed"): "encoding",
    ("codec", "convert"): "shape",
    ("__init__", "decode_frame"): "shape",
    ("ids", "parse_client_id"): "shape",
    ("enrolment", "parse_invitation"): "shape",
    ("keys", "check"): "key",
    ("sealing", "parse_receive_key"): "key",
    ("keys", "verify"): "signature",
    ("signed", "check_signature"): "signature",
    ("cards", "_chain_checks"): "signature",
    ("sealing", "open"): "sealing",
    ("joining", "_open"): "sealing",
}


def layer_of(refusal: Refused) -> str:
    """Return the layer that refused; all that is not named above is a rule of the protocol."""
    raised = traceback.extract_tb(refusal.__traceback__)[-1]
    return _RAISED_IN.get((Path(raised.filename).stem, raised.name), "rule")
