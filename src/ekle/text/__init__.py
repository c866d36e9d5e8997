"""Reading text: files, folders, hub data sets, and the text that ekle brings along."""
