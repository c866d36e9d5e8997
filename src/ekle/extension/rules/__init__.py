"""The rules that make embeddings for new tokens; docs/rows.md compares them.

`averages` has the rules that average base rows or sample around their mean. `similarity`, `hybrid` and
`focus` compare tokens. `distilled` learns the rows, with `teacher_student`.
"""
