"""Model parts that several stages share: weights on disk, rows, adapters, loss, bits per byte."""
