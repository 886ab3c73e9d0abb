"""The dataset hub: publishing in a process of its own."""
