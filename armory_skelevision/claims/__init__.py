"""The claims of the papers as data: what each says, what decides it, what was measured, and with which weights."""
