"""Reading, writing and merging model folders, adapters and new rows."""
