"""Numbers only: evidence -> score -> certificate. No I/O, no torch, no web."""
