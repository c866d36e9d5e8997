"""What each profile changes: portable, compact, morphological.

`apply` takes a profile's pre-tokenizer and pre-tokens. `compact` joins words with what follows them;
`morphological` chooses the words that are split after their root, and `split_rules` writes the rules.
"""
