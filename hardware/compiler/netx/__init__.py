"""Files of lava-dl, read and written."""
