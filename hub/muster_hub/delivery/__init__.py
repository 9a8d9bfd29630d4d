"""What goes to a device: pushes that wait in its inbox until they are acknowledged, and live ones that may be lost."""
