"""Whether the figures can be believed."""
