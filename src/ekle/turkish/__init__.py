"""The Turkish language: letters and case, suffixes and vowel harmony, the lexicon, analyses of words."""
