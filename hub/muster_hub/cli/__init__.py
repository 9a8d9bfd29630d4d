"""``muster hub``, and the commands by which an operator asks a running hub."""
