"""Stage 2, vocabulary: which tokens to add, and the evidence for each.

`stage` reads the corpus and `learn` puts a vocabulary together: `selection` learns merges, `profiles` have
the pre-tokenizers, and `constraints` what merges must respect. `evidence` shows what each token does,
`effects` what all of them save and change, `categories` of which kind each is, and `report` writes it down.
"""
