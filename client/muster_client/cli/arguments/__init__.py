"""What a command is given: options and arguments, and how they are read."""
