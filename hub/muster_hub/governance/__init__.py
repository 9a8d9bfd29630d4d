"""Cards, trust and grants: signed statements, verified, stored, and pushed to the devices that they concern."""
