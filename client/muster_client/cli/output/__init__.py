"""Output of the commands: documents, tables, names and failures."""
