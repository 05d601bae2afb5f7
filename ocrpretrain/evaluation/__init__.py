"""Metrics and protocols; no model code."""
