"""Delivery to devices: pushes that wait in an inbox until acknowledged, and live pushes, which may be lost."""
