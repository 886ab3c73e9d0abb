"""Coding agents: what one is, the kinds that there are, and the supervisor that all of them run under."""
