"""What a Loihi-class chip is, in integers: limits, neuron recursions, the network format."""
