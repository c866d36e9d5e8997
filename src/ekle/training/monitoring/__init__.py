"""What is seen of a run while it goes on, and what follows: log, evaluations, faults, memory, new tokens."""
