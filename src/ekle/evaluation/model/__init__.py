"""What the models are worth: each is measured in turn, then compared with the base."""
