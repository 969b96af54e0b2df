"""Imported before gRPC by programs that start processes under uvloop, which forks.

gRPC's handlers around a fork may wait for ever for threads of its own; what is
started becomes another program at once and does not need them.
"""

import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
