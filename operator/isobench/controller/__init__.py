"""The operator: one process that moves CommitBenchmark objects along by one Job per stage."""
