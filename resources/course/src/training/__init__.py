"""How the model learns: the loop, the update of the weights, the learning rate."""
