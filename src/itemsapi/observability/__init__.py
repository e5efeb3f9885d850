"""Logs and metrics for operators, and the context of the request they belong to."""
