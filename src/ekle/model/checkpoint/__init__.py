"""Reading, writing and merging model folders, adapters and new rows.

`weights` reads and writes folders, `safetensors_file` one of their files, `adapter` the DoRA adapters.
`loading` makes a transformers model of a folder, and `merging` puts what was trained into it.
"""
