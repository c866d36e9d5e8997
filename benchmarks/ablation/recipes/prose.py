"""What the page says beside its figures."""

SCALING = [
    "The model here is some forty times narrower than Qwen3-8B. Shares, counts and the scale alpha / "
    "sqrt(rank) are taken over; the rank shrinks with the width. The rate is the question. An "
    "optimiser that moves every number by about the rate moves the outputs of a layer by rate x scale "
    "x rank through B, and by rate x width through A, as far as the numbers pull together. Read *by "
    "width*, the rate is raised by the ratio of the widths, so that a step does here what it does "
    "there (the rule of Yang et al. 2022, arXiv:2203.03466), and that of the rows by its square root. "
    "Read *as it stands*, the number is the same and a step is some forty times gentler. *Rank as it "
    "stands* keeps rank 512 as well, and with it what B does. Numbers that pull in directions of "
    "their own would ask for the square root alone, so the truth for 8B lies between the first two "
    "rows, and nothing here says where. All else on this page is by width, in both directions.",
    "",
    "What does not carry over: the guide's step has 32 times as many tokens, and its run ten times as "
    "many steps, so Sophia's curvature is the mean of more and of better estimates. NEFTune's noise "
    "is as strong as the paper scales it, but rows have another length here than Qwen3's, and "
    "sequences are shorter. Everything is in 32 bits. And this base has seen a few million tokens, "
    "Qwen3 trillions.",
]
BOTH_WAYS = (
    "From both ends, one run each (seed 0): the guide with this one setting changed, and the "
    "recommended recipe with this one set back. Where the guide's rate spoils the model, what else is "
    "changed hardly shows; for all but rate and scale the second is the one to look at."
)
OPTIMISERS = (
    "The recommended recipe with each optimiser. The budget is what its own steps cost in floating-point "
    "operations; Sophia's passes for the curvature and Muon's Newton-Schulz iterations are paid from it. "
    "Each has several rates (of the adapters, in the terms of this model; the rows' rate moves along). The "
    "best on the text to choose on is taken, seed 0, and then run with all seeds."
)
CURRICULUM = (
    "The recommended recipe with its text in random order, and with `training.curriculum.pacing = "
    '"root"`: the easiest tenth of the documents first, all of them from half of the steps on.'
)
ALTERNATIVES = (
    "One run each (seed 0), as many steps as the recommended recipe; what distilling and aligning "
    "take comes on top. Which of them would be taken is decided by the text to choose on."
)
