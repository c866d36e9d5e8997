"""What distillation and alignment share: layers by depth."""

from ekle.model.layers.hidden_states import depth_to_layer


def test_a_share_of_the_layers_is_at_least_one_and_at_most_all() -> None:
    assert [depth_to_layer(1 / 3, layers) for layers in (1, 2, 28, 36)] == [1, 1, 9, 12]
    assert depth_to_layer(1.0, 36) == 36


def test_half_a_layer_rounds_up() -> None:
    assert [depth_to_layer(0.5, layers) for layers in (3, 5, 9)] == [2, 3, 5]
