"""The decisions of isobench: pure functions; time and seeds are arguments."""
