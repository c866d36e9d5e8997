"""What a user asks to keep whole or to leave as it is: kept terms, protected text."""
