"""Results of evaluations: one record for each run, one table of all values, reports and comparisons."""
