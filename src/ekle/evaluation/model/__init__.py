"""What the models are worth: each measured in turn, then held against the base."""
