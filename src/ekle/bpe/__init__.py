"""Byte-level BPE: the base vocabulary, continued learning, and the graft into tokenizer.json.

`base` opens and saves tokenizers, `qwen` makes one like Qwen's, and `chat_templates` finds their templates.
`byte_alphabet` and `pre_tokenizers` say what merges work on, `learn` and `merge_prefixes` which merges there
are, and `graft` adds them to tokenizer.json. `encode`, `measure` and `segmentation` are for using tokenizers,
and `tokenizer_pair` is for a text that two of them encode.
"""
