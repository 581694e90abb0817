"""Everything between a sensor, a video or a drawn face and a tensor of event frames."""
