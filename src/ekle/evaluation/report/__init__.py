"""The figures for people: criteria, verdict, terminal and page."""
