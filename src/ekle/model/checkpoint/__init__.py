"""Model folders and what training adds to them: read, written, merged."""
