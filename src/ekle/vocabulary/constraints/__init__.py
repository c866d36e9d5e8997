"""What a user asks for: terms that become single tokens, and text that stays as it is."""
