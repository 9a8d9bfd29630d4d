"""The control socket between an agent and the command lines of the same device."""
