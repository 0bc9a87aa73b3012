"""Dashboards as code: `python -m grafana.build` writes what Grafana reads, and the reference of all metrics."""
