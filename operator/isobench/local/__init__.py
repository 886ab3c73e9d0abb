"""isobench on one machine: executor, progress and resume."""
