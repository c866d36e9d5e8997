"""What a training runs on: its kernels, its memory, its processes."""
