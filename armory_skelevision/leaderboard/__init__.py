"""The leaderboard: trackers and defenses under the strongest patch that a budget buys, each entry a file to verify."""
