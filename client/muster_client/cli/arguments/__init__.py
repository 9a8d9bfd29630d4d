"""Options and arguments of the commands, and how they are parsed."""
