"""isobench: verified benchmark tasks from the performance commits of real repositories."""

__version__ = "0.1.0"
