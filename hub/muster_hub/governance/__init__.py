"""Cards, trust and grants: signed statements, verified, stored, and told to the devices that they concern."""
