"""What `--gpu` may say."""

import pytest

from ekle.errors import InputError
from ekle.planning.gpus import find_gpu, gpu_of_size, known_gpus


@pytest.mark.parametrize(
    ("text", "size"),
    [("40GB", 40e9), ("40", 40e9), ("40 gb", 40e9), ("39.5GiB", 39.5 * 2**30), ("24000MB", 24e9)],
)
def test_a_size_is_read_with_its_unit(text: str, size: float) -> None:
    assert find_gpu(text).bytes == size


def test_a_name_is_found_however_it_is_written() -> None:
    assert find_gpu("A100-40") == find_gpu("a100-40") == find_gpu("a100_40".replace("_", "-"))


@pytest.mark.parametrize("gpu", known_gpus(), ids=lambda gpu: gpu.name)
def test_a_known_gpu_has_less_memory_than_its_name_says(gpu) -> None:
    named = {"t4": 16, "a10": 24, "l4": 24, "rtx3090": 24, "rtx4090": 24, "l40s": 48, "h100": 80, "h200": 141}
    said = named.get(gpu.name) or int(gpu.name.rpartition("-")[2])
    assert 0.88 * said * 2**30 < gpu.bytes < said * 2**30


def test_only_the_old_ones_have_no_bfloat16() -> None:
    assert {gpu.name for gpu in known_gpus() if not gpu.bf16} == {"t4", "v100-16", "v100-32"}


@pytest.mark.parametrize("text", ["", "big", "0GB", "-3GB", "40TB"])
def test_what_is_neither_is_refused_with_the_names_there_are(text: str) -> None:
    with pytest.raises(InputError, match="a100-40"):
        find_gpu(text)


@pytest.mark.parametrize(
    ("driver", "name"),
    [
        ("NVIDIA A100-SXM4-40GB", "a100-40"),
        ("NVIDIA A10G", "a10"),
        ("NVIDIA L4", "l4"),
        ("NVIDIA L40S", "l40s"),
        ("Tesla T4", "t4"),
        ("NVIDIA GeForce RTX 4090", "rtx4090"),
        ("NVIDIA H100 80GB HBM3", "h100"),
    ],
)
def test_the_speed_of_a_card_is_found_by_what_its_driver_calls_it(driver: str, name: str) -> None:
    found = gpu_of_size(10**10, driver)
    assert (found.flops, found.bytes, found.speed_from) == (find_gpu(name).flops, 10**10, "")


def test_what_the_driver_says_of_bfloat16_goes_before_the_table() -> None:
    assert not gpu_of_size(10**10, "NVIDIA GeForce RTX 2080 Ti", bf16=False).bf16
    assert not gpu_of_size(10**10, "NVIDIA L4", bf16=False).bf16
    assert gpu_of_size(10**10, "Something New").bf16
    assert not gpu_of_size(10**10, "Tesla T4").bf16


def test_the_speed_of_an_unknown_card_is_said_to_be_a_guess() -> None:
    assert gpu_of_size(10**10, "Something New").speed_from == "a100-40"
    assert find_gpu("40GB").speed_from == "a100-40"
