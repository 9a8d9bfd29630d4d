"""The store room: the only folder of the hub that talks to Valkey or Redis."""
