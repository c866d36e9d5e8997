"""What ekle puts into, or around, a transformers model: DoRA, new embedding rows, the loss."""
