"""What a command shows: documents, tables, names and failures."""
