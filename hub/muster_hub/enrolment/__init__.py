"""Which devices a hub serves, where it does not serve every device: enrolled ones, and invitations to enrol."""
