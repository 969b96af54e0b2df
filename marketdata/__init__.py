"""Market data: depth, trades, quotes and reference prices, as views of the journal.

An event's way: `view` parses it, `market` (with `depth` and `trades`) takes it
in, `publisher` encodes the change once, `streams` hand it to every reader.
Nothing here is kept on disk: the journal is the truth.
"""
