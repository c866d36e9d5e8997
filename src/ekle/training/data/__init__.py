"""What training reads: documents of several sources, mixed and packed into sequences.

`data_mixture` chooses sources and shares, `documents` and `conversations` read them as tokens,
`chat_template` writes conversations, `curriculum` orders documents, `merge_dropout` varies their tokens, and
`packing` makes sequences of one length.
"""
