"""NVIDIA cards: which there are, why none is used, and how the packaged program gets a torch that uses them."""
