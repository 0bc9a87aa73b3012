"""The demonstration: traffic of an online shop's help desk, and a teacher that answers it on this machine."""
