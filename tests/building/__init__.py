"""Builders of what tests need: the real thing, small."""
