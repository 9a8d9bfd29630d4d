"""Who is connected where, and who watches whom."""
