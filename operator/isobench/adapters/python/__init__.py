"""Python environments: interpreters, builds by uv, what an installed package offers."""
