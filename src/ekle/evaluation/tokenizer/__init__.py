"""What the extended tokenizer is worth: needs no model and no tensor library."""
