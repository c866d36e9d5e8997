"""The stages in their order, and the run folder that keeps what they made."""
