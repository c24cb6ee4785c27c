"""Many evaluations from one grid: which cells there are, running them here or on a cluster, and going on later."""
