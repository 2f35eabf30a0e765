"""Grafana's dashboards and provisioning, built from the protocol's numbers. Nothing here is on the alarm path."""
