"""What operators see: log lines and metrics, and the context of the request they belong to."""
