"""The control socket between an agent and the command lines of the same device: the lines that tell of a start."""

from muster_client.control.messages import Blocking, Settled, Started, StartUpdate, TargetUpdate

__all__ = ["Blocking", "Settled", "StartUpdate", "Started", "TargetUpdate"]
