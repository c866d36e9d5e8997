"""The rules by which new rows start, one function in one file each; docs/rows.md compares them."""
