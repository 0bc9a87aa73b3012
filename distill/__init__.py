"""Offline: harvest -> curate -> train -> evaluate -> certify -> promote."""
