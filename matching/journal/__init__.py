"""The journal: what is in it has happened, what is not has not."""
