"""The gateway beside its peers, over real sockets: `python -m bench.peers` (docs/bench-gateway.md)."""
