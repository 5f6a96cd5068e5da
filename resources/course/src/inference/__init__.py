"""How the model writes: one token after the other."""
