"""Training of DuaLossDef: an attack on a frozen tracker, and a U-Net before it that learns to undo the attack."""
