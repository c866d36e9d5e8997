"""Stage 3: adapters and new rows learn from Turkish text.

`stage` puts a run together, `trainer` drives it, `steps` makes a step of the optimiser, `passes` the passes
of a step; `objective` is what they lower. `checkpoints` and `run_state` let a run go on where it was ended.
"""
