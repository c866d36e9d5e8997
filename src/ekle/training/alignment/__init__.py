"""Before the training: new rows are brought near to what the base says."""
