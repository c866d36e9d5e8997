"""DoRA against PEFT's own implementation and against the definition."""

import copy
import json
from pathlib import Path

import pytest
import torch
from allocations import Allocations
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import Qwen3ForCausalLM

from ekle.artifacts import ExtendedModel
from ekle.errors import CheckpointError
from ekle.model.checkpoint.adapter import StoredAdapter, load_adapter, save_adapter
from ekle.model.layers.activation_checkpointing import enable_activation_checkpointing
from ekle.model.layers.dora import DoraLinear, adapted_layers, attach, merged_weights, refresh_norms, scale_of
from ekle.recipe.training import DoraSettings

SETTINGS = DoraSettings(rank=4, alpha=6.0)


@pytest.fixture
def model(tiny_extended: ExtendedModel) -> Qwen3ForCausalLM:
    return Qwen3ForCausalLM.from_pretrained(tiny_extended.model, dtype=torch.float32)


def ids(model: nn.Module) -> Tensor:
    return torch.randint(0, 430, (2, 24), generator=torch.Generator().manual_seed(0))


def train_a_little(model: nn.Module) -> None:
    """Move every adapter away from its start, the magnitudes too."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for _, layer in adapted_layers(model):
            layer.lora_b.copy_(torch.randn(layer.lora_b.shape, generator=generator) * 0.1)
            layer.magnitude.mul_(1 + 0.2 * torch.rand(layer.magnitude.shape, generator=generator))
    refresh_norms(model)


def adapted(model: Qwen3ForCausalLM, settings: DoraSettings = SETTINGS) -> Qwen3ForCausalLM:
    ours = copy.deepcopy(model).requires_grad_(False)
    attach(ours, settings, generator=torch.Generator().manual_seed(3))
    return ours


def with_peft(model: Qwen3ForCausalLM, folder: Path) -> PeftModel:
    return PeftModel.from_pretrained(copy.deepcopy(model), folder, is_trainable=True)


def test_all_seven_projections_of_each_layer_are_adapted(model: Qwen3ForCausalLM) -> None:
    ours = adapted(model)
    assert len(list(adapted_layers(ours))) == 7 * model.config.num_hidden_layers


def test_attaching_changes_no_output(model: Qwen3ForCausalLM) -> None:
    torch.testing.assert_close(adapted(model)(ids(model)).logits, model(ids(model)).logits)


@pytest.mark.parametrize("rslora", [True, False])
def test_peft_reads_the_folder_and_gives_the_same_outputs_and_gradients(
    model: Qwen3ForCausalLM, tmp_path: Path, rslora: bool
) -> None:
    ours = adapted(model, SETTINGS.model_copy(update={"rslora": rslora}))
    train_a_little(ours)
    save_adapter(ours, tmp_path)
    theirs = with_peft(model, tmp_path)

    batch = ids(model)
    outputs = [part(batch, labels=batch) for part in (ours, theirs)]
    torch.testing.assert_close(outputs[0].logits, outputs[1].logits, atol=2e-5, rtol=1e-5)
    for output in outputs:
        output.loss.backward()
    for name, layer in adapted_layers(ours):
        peer = theirs.get_submodule(f"base_model.model.{name}")
        for mine, other in (
            (layer.lora_a, peer.lora_A["default"].weight),
            (layer.lora_b, peer.lora_B["default"].weight),
            (layer.magnitude, peer.lora_magnitude_vector["default"].weight),
        ):
            torch.testing.assert_close(mine.grad, other.grad, atol=1e-6, rtol=2e-4, msg=name)


@pytest.mark.parametrize("rslora", [True, False])
def test_a_folder_that_peft_wrote_is_read(model: Qwen3ForCausalLM, tmp_path: Path, rslora: bool) -> None:
    config = LoraConfig(
        r=4, lora_alpha=6, use_dora=True, use_rslora=rslora, target_modules=["q_proj", "up_proj"]
    )
    theirs = get_peft_model(copy.deepcopy(model), config)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
            if "magnitude" in name:
                parameter.mul_(1.1)
    theirs.save_pretrained(tmp_path)
    ours = copy.deepcopy(model)
    load_adapter(ours, tmp_path)
    torch.testing.assert_close(ours(ids(model)).logits, theirs(ids(model)).logits, atol=2e-5, rtol=1e-5)


def test_the_config_names_every_setting_that_peft_writes(model: Qwen3ForCausalLM, tmp_path: Path) -> None:
    save_adapter(adapted(model), tmp_path / "ours")
    peft = LoraConfig(
        r=4,
        lora_alpha=6,
        use_dora=True,
        use_rslora=True,
        target_modules=SETTINGS.targets,
        task_type="CAUSAL_LM",
    )
    get_peft_model(copy.deepcopy(model), peft).save_pretrained(tmp_path / "theirs")
    ours, theirs = (
        json.loads((tmp_path / who / "adapter_config.json").read_text("utf-8")) for who in ("ours", "theirs")
    )
    for config in (ours, theirs):
        config["target_modules"] = set(config["target_modules"])  # PEFT writes them in any order
        config.pop("base_model_name_or_path")  # a path of this machine, which we leave out
    assert ours == theirs


def test_saved_adapters_come_back_bit_for_bit(model: Qwen3ForCausalLM, tmp_path: Path) -> None:
    ours = adapted(model)
    train_a_little(ours)
    save_adapter(ours, tmp_path)
    fresh = copy.deepcopy(model)
    load_adapter(fresh, tmp_path)
    assert torch.equal(fresh(ids(model)).logits, ours(ids(model)).logits)


def test_the_norm_is_that_of_the_built_matrix_and_of_its_factored_form(model: Qwen3ForCausalLM) -> None:
    ours = adapted(model)
    train_a_little(ours)
    for _, layer in adapted_layers(ours):
        weight, a, b, s = layer.linear.weight, layer.lora_a, layer.lora_b, scale_of(SETTINGS)
        torch.testing.assert_close(layer.norm, (weight + s * b @ a).norm(dim=1), rtol=1e-5, atol=1e-6)
        crossed, square = ((weight @ a.T) * b).sum(dim=1), ((b @ (a @ a.T)) * b).sum(dim=1)
        factored = weight.square().sum(dim=1) + 2 * s * crossed + s**2 * square
        torch.testing.assert_close(layer.norm.square(), factored, rtol=1e-5, atol=1e-6)


def test_a_matrix_taken_in_parts_has_the_same_norms(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer = DoraLinear(nn.Linear(10, 37, bias=False), SETTINGS, torch.float32, None)
    with torch.no_grad():
        layer.lora_b.normal_()
    layer.refresh_norm()
    whole = layer.norm.clone()
    monkeypatch.setattr("ekle.model.layers.dora.WEIGHTS_PER_CHUNK", 50)  # five rows at a time
    layer.norm.zero_()
    layer.refresh_norm()
    torch.testing.assert_close(layer.norm, whole)


def test_the_norm_of_a_bfloat16_layer_is_float32_and_exact() -> None:
    torch.manual_seed(0)
    layer = DoraLinear(nn.Linear(48, 32, bias=False).bfloat16(), SETTINGS, torch.float32, None)
    with torch.no_grad():
        layer.lora_b.normal_(std=0.3)
    layer.refresh_norm()
    built = layer.linear.weight.double() + scale_of(SETTINGS) * (
        layer.lora_b.double() @ layer.lora_a.double()
    )
    torch.testing.assert_close(layer.norm.double(), built.norm(dim=1), rtol=1e-6, atol=0)


def test_the_norm_follows_any_in_place_change_once_refreshed(model: Qwen3ForCausalLM) -> None:
    """Writes through `.data` leave `_version` alone, so no cache keyed on it could see them."""
    ours = adapted(model)
    _, layer = next(adapted_layers(ours))
    before, version = layer.norm.clone(), layer.lora_b._version
    layer.lora_b.data.add_(0.5)
    assert layer.lora_b._version == version
    refresh_norms(ours)
    assert not torch.equal(layer.norm, before)


def test_the_merged_weight_gives_the_adapted_output(model: Qwen3ForCausalLM) -> None:
    ours = adapted(model)
    train_a_little(ours)
    merged = copy.deepcopy(model)
    for name, layer in adapted_layers(ours):
        weight = merged.get_submodule(name).weight
        new = merged_weights(weight, layer.lora_a, layer.lora_b, layer.magnitude, layer.scale)
        weight.data.copy_(new)
    torch.testing.assert_close(ours(ids(model)).logits, merged(ids(model)).logits, atol=2e-5, rtol=1e-5)


def test_the_merge_is_that_of_peft(model: Qwen3ForCausalLM, tmp_path: Path) -> None:
    ours = adapted(model)
    train_a_little(ours)
    save_adapter(ours, tmp_path)
    theirs = with_peft(model, tmp_path).merge_and_unload()
    for name, layer in adapted_layers(ours):
        mine = merged_weights(layer.linear.weight, layer.lora_a, layer.lora_b, layer.magnitude, layer.scale)
        torch.testing.assert_close(mine, theirs.get_submodule(name).weight, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpointing_changes_no_gradient(model: Qwen3ForCausalLM, reentrant: bool) -> None:
    gradients = []
    for checkpointing in (False, True):
        ours = adapted(model)
        train_a_little(ours)
        ours.train()
        if checkpointing:
            enable_activation_checkpointing(ours, reentrant=reentrant)
            ours.enable_input_require_grads()
        batch = ids(model)
        ours(batch, labels=batch, use_cache=False).loss.backward()
        gradients.append([p.grad for p in ours.parameters() if p.requires_grad])
    for plain, recomputed in zip(*gradients, strict=True):
        assert torch.equal(plain, recomputed)


def test_bfloat16_weights_give_the_same_gradients_within_their_rounding() -> None:
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(0)
        linear = nn.Linear(64, 48, bias=False).to(torch.bfloat16).to(dtype)
        layer = DoraLinear(linear, SETTINGS, torch.float32, torch.Generator().manual_seed(1))
        with torch.no_grad():
            layer.lora_b.normal_(std=0.05)
        layer.refresh_norm()
        inputs = torch.randn(32, 64).to(torch.bfloat16).to(dtype).requires_grad_()
        output = layer(inputs)
        output.square().sum().backward()
        assert output.dtype == inputs.grad.dtype == dtype
        assert layer.magnitude.grad.dtype == layer.lora_a.grad.dtype == torch.float32
        learned = [layer.lora_a.grad, layer.lora_b.grad, layer.magnitude.grad]
        found.append([output.float(), inputs.grad.float(), *learned])
    for exact, rounded in zip(*found, strict=True):
        assert (exact - rounded).norm() < 0.02 * exact.norm()


def test_a_small_change_of_magnitude_is_not_lost_in_bfloat16() -> None:
    """Between 1 and 1.0078 bfloat16 has no number, and a magnitude learns in smaller steps than that."""
    torch.manual_seed(0)
    layer = DoraLinear(nn.Linear(64, 64, bias=False).bfloat16(), SETTINGS, torch.float32, None)
    inputs = torch.randn(4000, 64).bfloat16()
    before = layer(inputs).float()
    with torch.no_grad():
        layer.magnitude.mul_(1.003)
    assert (layer(inputs).float().norm() / before.norm()).item() == pytest.approx(1.003, abs=5e-4)


@pytest.mark.parametrize("bias", [False, True])
def test_gradients_equal_finite_differences(bias: bool) -> None:
    torch.manual_seed(0)
    layer = DoraLinear(
        nn.Linear(5, 4, bias=bias).double(), DoraSettings(rank=2, alpha=3.0), torch.float64, None
    )
    with torch.no_grad():
        layer.lora_b.normal_()
        layer.magnitude.add_(0.3)
    layer.refresh_norm()
    layer.norm = layer.norm.double()  # a constant to the gradient, as the paper has it
    inputs = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    parameters = (layer.lora_a, layer.lora_b, layer.magnitude)

    def output(x: Tensor, *_: Tensor) -> Tensor:
        return layer(x)

    # The gain and the sum in the magnitude's gradient are float32 by design. In each number by itself the
    # output is linear, so that a large step is exact, and rounding counts for little in it.
    assert torch.autograd.gradcheck(output, (inputs, *parameters), eps=0.125, atol=1e-5, rtol=1e-4)


def test_a_step_allocates_nothing_as_large_as_the_weight() -> None:
    torch.manual_seed(0)
    width, rank, tokens = 512, 4, 8
    linear = nn.Linear(width, width, bias=False)
    layer = DoraLinear(linear, DoraSettings(rank=rank, alpha=1.0), torch.float32, None)
    inputs = torch.randn(tokens, width, requires_grad=True)
    with Allocations() as made:
        layer(inputs).sum().backward()
    assert made.largest == tokens * width, f"{made.shape} by {made.made_by}"


def test_a_row_of_zeros_stays_zero_and_gives_no_nan() -> None:
    linear = nn.Linear(6, 3, bias=False)
    with torch.no_grad():
        linear.weight[1] = 0
    layer = DoraLinear(linear, SETTINGS, torch.float32, None)
    output = layer(torch.randn(4, 6, requires_grad=True))
    output.sum().backward()
    assert torch.equal(output[:, 1], torch.zeros(4))
    assert all(bool(torch.isfinite(p.grad).all()) for p in layer.parameters() if p.grad is not None)


def test_the_same_seed_gives_the_same_start(model: Qwen3ForCausalLM) -> None:
    first, second = (next(adapted_layers(adapted(model)))[1].lora_a for _ in range(2))
    assert torch.equal(first, second)
    assert first.abs().max() <= 1 / first.shape[1] ** 0.5


def test_a_model_without_the_named_layers_is_refused() -> None:
    with pytest.raises(CheckpointError, match="no linear layer named"):
        attach(nn.Sequential(nn.Linear(2, 2)), SETTINGS)


def test_adapters_are_not_attached_twice(model: Qwen3ForCausalLM) -> None:
    with pytest.raises(CheckpointError, match="already"):
        attach(adapted(model), SETTINGS)


def test_other_settings_than_those_of_the_folder_are_refused(model: Qwen3ForCausalLM, tmp_path: Path) -> None:
    save_adapter(adapted(model), tmp_path)
    with pytest.raises(CheckpointError, match="other DoRA settings"):
        load_adapter(adapted(model, DoraSettings(rank=4, alpha=7.0)), tmp_path)


def test_a_broken_adapter_folder_is_refused(model: Qwen3ForCausalLM, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no complete DoRA adapter"):
        StoredAdapter(tmp_path)
    save_adapter(adapted(model), tmp_path)
    tensors = (tmp_path / "adapter_model.safetensors").read_bytes()
    (tmp_path / "adapter_model.safetensors").write_bytes(tensors[: len(tensors) // 2])
    with pytest.raises(CheckpointError, match="no complete DoRA adapter"):
        load_adapter(model, tmp_path)


def test_plain_lora_is_not_taken_for_dora(model: Qwen3ForCausalLM, tmp_path: Path) -> None:
    config = LoraConfig(r=4, lora_alpha=6, target_modules=["q_proj"])
    get_peft_model(copy.deepcopy(model), config).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="not DoRA"):
        load_adapter(model, tmp_path)
