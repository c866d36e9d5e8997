"""What ekle adds to a transformers model: DoRA adapters, new embedding rows, the loss, checkpointing.

`dora` has the adapters, `new_rows` the embeddings of new tokens, `loss` the cross-entropy of a large
vocabulary, `hidden_states` the distance between teacher and student, and `activation_checkpointing` saves
memory.
"""
