"""Adversarial training of trackers, and the attacks on batches that it shares with the training of DuaLossDef."""
