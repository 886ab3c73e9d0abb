"""Runs commands in a container that isobench is not installed in: standard library only, Python 3.8 or newer."""
