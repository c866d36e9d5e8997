"""The rules that make embeddings for new tokens; docs/rows.md compares them."""
