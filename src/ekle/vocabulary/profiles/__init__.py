"""What each profile changes: portable, compact, morphological."""
