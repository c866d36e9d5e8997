"""What a recipe will need: memory, disk and hours, by formula, before anything starts."""
