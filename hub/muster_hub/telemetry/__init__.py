"""What a node tells about itself: its log, its counters, and faults without secrets."""
