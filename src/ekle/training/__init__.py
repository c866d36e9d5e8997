"""Stage 5, training: adapters and new rows learn from Turkish text.

`stage` puts a run together, and `loop` is the run: one function from a batch to a step of the optimiser.
`micro_batches` has the forward and backward passes of a step, `objective` the loss that they lower,
`run_state` and `checkpoints` what a killed run goes on from. `data` makes the batches, `optimizers` the
updates, and `monitoring` watches.
"""
