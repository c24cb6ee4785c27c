"""Training of DuaLossDef: an attack on a frozen tracker, and a U-Net in front of it that learns to undo the attack."""
