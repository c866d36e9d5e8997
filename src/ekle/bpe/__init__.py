"""Byte-level BPE: the base vocabulary, continued learning, and the graft into tokenizer.json.

`opening` opens and checks every tokenizer, `base` finds them by name and saves them, `qwen` makes one like
Qwen's, `chat_templates` finds their templates, and `special_tokens` what their settings name.
`byte_alphabet` and `pre_tokenizers` say what merges work on, `learn` and `merge_prefixes` which merges there
are, and `graft` adds them to tokenizer.json. `encode`, `measure` and `segmentation` are for using tokenizers,
and `tokenizer_pair` is for a text that two of them encode.
"""
