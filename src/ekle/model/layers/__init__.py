"""What ekle adds to a transformers model: DoRA adapters, new embedding rows, the loss, checkpointing."""
