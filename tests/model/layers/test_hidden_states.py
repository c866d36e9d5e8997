"""What distillation and alignment share: the lower layers of a model, and which they are."""

from pathlib import Path

from transformers import AutoModelForCausalLM

from ekle.model.layers.hidden_states import depth_to_layer, first_layers


def test_a_share_of_the_layers_is_at_least_one_and_at_most_all() -> None:
    assert [depth_to_layer(1 / 3, layers) for layers in (1, 2, 28, 36)] == [1, 1, 9, 12]
    assert depth_to_layer(1.0, 36) == 36


def test_half_a_layer_rounds_up() -> None:
    assert [depth_to_layer(0.5, layers) for layers in (3, 5, 9)] == [2, 3, 5]


def test_the_first_layers_share_all_weights_and_leave_the_model_as_it_is(tiny_base: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    lower = first_layers(model, 1)
    assert [id(each) for each in lower.parameters()] == [
        id(each)
        for name, each in model.model.named_parameters()
        if name.startswith(("embed_tokens", "layers.0"))
    ]
    assert lower.layers[0] is model.model.layers[0]
    assert (len(model.model.layers), model.config.num_hidden_layers) == (2, 2)
