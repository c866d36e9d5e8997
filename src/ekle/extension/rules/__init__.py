"""The rules that make embeddings for new tokens; docs/rows.md compares them.

`averages` has the rules that average base rows or sample around their mean. `similarity`, `hybrid` and
`focus` compare tokens. `distilled` learns the rows, with `teacher_student`; `mapped` learns maps that they
share. What both need is in `text_sample` and `packing` (what they read), `held_out` (what decides) and
`rounds` (their budget).
"""
