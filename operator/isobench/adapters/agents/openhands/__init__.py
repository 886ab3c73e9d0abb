"""OpenHands as an agent: the adapter that starts it, and the program that runs in its own interpreter.

`child`, `conversation`, `progress` and `shell` run where nothing of isobench is installed: they use the standard
library, the SDK, and the probe, which uses the standard library only.
"""
