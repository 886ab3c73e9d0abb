"""From an item and its plan to the manifests of its Jobs, its volume claim and its network policy. Pure."""
