"""The matching server: one deterministic core, one journal, one sequencer between them."""
