"""What a run means: parity, spikes and synaptic operations, energy."""
