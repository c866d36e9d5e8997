"""What the pages for people have in common: the frame, the style, plots, and how figures are worded.

`render` fills a template, `plots` draws, `formatting` words figures, and `training_log` words the log of a
training.
"""
