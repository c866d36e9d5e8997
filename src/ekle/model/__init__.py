"""What several stages need of a model: checkpoints, adapters and new rows, the loss, scoring."""
