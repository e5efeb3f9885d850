"""The measured programs."""
