"""NVIDIA cards: detecting them, why none is used, and installing a torch that uses them in the packaged program."""
