"""The timer that is injected into any environment: standard library only, Python >= 3.8, x86_64 and aarch64."""
