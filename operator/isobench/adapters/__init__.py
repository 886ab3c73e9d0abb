"""The outside world: one module per vendor."""
