"""The gateway: what stands between clients and the venue. It holds nothing that cannot be lost."""
