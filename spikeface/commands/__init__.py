"""The commands of the tool, by what they work on: each file adds its own to the parser."""
