"""The audit records of what the hub did and refused."""
