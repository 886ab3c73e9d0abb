"""A real Kubernetes on this machine for tests and for trying out, in namespaces of its own."""
