"""The report for people: one page that needs nothing but a browser."""
