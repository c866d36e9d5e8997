"""What is seen of a run while it goes on, and what follows: log, evaluations, faults, memory, new tokens.

`training_log` writes, `log_line` and `meter` have its figures, `trackers` send them on. `held_out` evaluates
and ends a run early, `guard` reacts to faults, `memory_leak` watches memory, and `new_tokens` counts how
often each new token was read.
"""
