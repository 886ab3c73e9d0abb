"""Repositories: git's objects, worktrees and plain trees."""
