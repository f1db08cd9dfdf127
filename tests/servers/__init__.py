"""Real servers for tests, chaos runs and benchmarks, started from the wheels."""
