"""The nouns of isobench: frozen models and reasons, without I/O and without logic beyond validation."""
