"""The pure core: commands in, events out; no I/O, no clock, no randomness, integers only."""
