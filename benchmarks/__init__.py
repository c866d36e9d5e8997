"""What is measured, each with one command."""
