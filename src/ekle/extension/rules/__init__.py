"""The rules that make embeddings for new tokens; docs/rows.md compares them.

`averages` has the rules that need the base's rows alone, `similarity`, `hybrid` and `focus` those that
compare tokens. `distilled` learns the rows, with `teacher_student`.
"""
