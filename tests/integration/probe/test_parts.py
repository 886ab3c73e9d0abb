"""Parts of the probe that touch the kernel, each by itself: counters, fingerprints, and the archive's counterpart in the package."""
