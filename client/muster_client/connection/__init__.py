"""The connection to a hub: dialling, TLS and proxies, requests and pushes, and connecting again."""
