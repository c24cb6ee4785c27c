"""One page on many evaluations, and its tables as CSV and Markdown."""
