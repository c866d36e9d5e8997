"""What a recipe will need: memory, disk space and hours, by formula, before anything starts."""
