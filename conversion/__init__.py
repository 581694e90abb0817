"""The artificial side of the comparison: reconstruction, transfer and conversion to spikes."""
