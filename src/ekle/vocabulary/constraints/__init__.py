"""What a user asks for: terms that become single tokens, and text that stays as it is.

`keep` makes terms single tokens, `protect` prices changes to text of other languages, and `strict` measures
what protection costs and finds the settings that strict protection needs.
"""
