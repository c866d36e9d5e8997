"""What the pages for people have in common: the frame, the style, plots, and how figures are worded."""
