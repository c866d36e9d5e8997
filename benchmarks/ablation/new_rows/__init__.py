"""A laboratory for new rows: small bases, many ways to start and train them, the same compute for each."""
