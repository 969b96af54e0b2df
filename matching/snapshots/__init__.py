"""Snapshots: what the venue was at a sequence, so that recovery need not begin at the beginning."""
