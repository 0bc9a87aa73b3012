"""Measurements. Run them with `make bench`."""
