"""Training of trackers with a backdoor: settings, poisoned pairs, and the training loop's body."""
