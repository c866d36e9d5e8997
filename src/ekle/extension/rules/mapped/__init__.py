"""The rule `mapped`: new rows are shared linear maps of what the base knows about their base tokens.

evidence      what the base says: counts of its tokens, its own reading of each new token, its last states
closed_form   the maps by ridge regression, and the prior of each token; a minute, nothing is learned
maps          the maps as a module
learning      the maps by the loss of the next token, through the frozen base, with a budget
rule          all of it, in stages, each kept only if it lowers bits per byte on text held out
"""
