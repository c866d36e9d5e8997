"""The Turkish language: letters and case, suffixes and vowel harmony, the lexicon, analyses of words.

`alphabet` and `casing` know letters, `harmony` and `suffixes` the forms of suffixes, `tables` the lists in
`data/`. `lexicon` and `reading_cache` find a word's readings, `analysis` the likeliest, `gold` what people
marked. `complexity` measures how hard a text is to read.
"""
