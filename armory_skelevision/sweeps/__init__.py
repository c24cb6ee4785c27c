"""Many evaluations from one grid: the planned runs, carrying them out here or on a cluster, and resuming later."""
