"""Muon for some matrices, AdamW for the rest: two optimisers of PyTorch as one.

Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) replaces the momentum of a matrix by the nearest
matrix with all singular values equal, by five Newton-Schulz steps in bfloat16: the update of steepest descent
where the size of a change is its spectral norm. `torch.optim.Muon` does that. Its step is scaled by
0.2 sqrt(max(rows, columns)) (Liu et al. 2025, "Muon is Scalable for LLM Training", arXiv:2502.16982), so that
a coordinate moves about 0.2 times the learning rate, as it does under AdamW: rates that suit AdamW suit it.

Before the five steps a gradient is rounded to bfloat16. Gradients that differ in their last bit, as those of
several processes and of one do, may then round differently: the steps differ by some thousandths of their
norm, where those of AdamW differ by 1e-7.

What it is used for here:

- A (r, in) and B (out, r), each by itself. The change of B A is dB A + B dA, whose spectral norm is at most
  |dB| |A| + |B| |dA|, so a bound on the factors is a bound on the change of the layer. To orthogonalise the
  change of the product instead would need a matrix of the size of W. The cost is 5 (4 r^2 n + 2 r^3)
  operations per factor, with n the longer side: for r = 512 on Qwen3-8B about 1.5 10^13 per step, below 1 %
  of a step of 65,536 tokens.
- not the magnitudes, which are vectors;
- not the new rows: a row belongs to one token, most rows have no gradient in a step, and a step with equal
  singular values would move them all. Both papers also leave embeddings and heads to AdamW.
- but the maps of rows that learn together (`ekle.training.shared_rows`), whatever moves the adapters. Under
  AdamW the maps learned more slowly (docs/log.md).
"""

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn

from ekle.model.distributed import copy_full_tensor, full_tensor, is_sharded_tensor, shard_like
from ekle.recipe.training import AdamWSettings, MuonSettings


class MuonAndAdamW(torch.optim.Optimizer):
    """Acts as one optimiser: its groups, its state and its state dict are those of both.

    Args:
        matrices: groups of matrices for Muon, with `lr` and `weight_decay`.
        others: groups of the other parameters, with `lr`; they decay by their own `weight_decay`, if any.
        muon: momentum and its orthogonalisation.
        adamw: averages of the other groups.
    """

    def __init__(
        self,
        matrices: list[dict[str, Any]],
        others: list[dict[str, Any]],
        muon: MuonSettings,
        adamw: AdamWSettings,
    ) -> None:
        self._count = len(matrices)
        self._muon = torch.optim.Muon(
            matrices,
            momentum=muon.momentum,
            nesterov=muon.nesterov,
            ns_steps=muon.iterations,
            adjust_lr_fn="match_rms_adamw",
        )
        self._adamw = torch.optim.AdamW(others, betas=adamw.betas, eps=adamw.epsilon, weight_decay=0.0)
        super().__init__([*self._muon.param_groups, *self._adamw.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step of both; a parameter without a gradient stays as it is."""
        if closure is not None:
            raise ValueError("MuonAndAdamW takes no closure")
        # Loading a state replaces groups and state here, so both get their share again in every step.
        for group in self.param_groups[: self._count]:
            if any(map(is_sharded_tensor, group["params"])):
                for matrix in group["params"]:
                    self._step_sharded(matrix, group)
            else:
                _step(self._muon, [group], self.state)
        _step(self._adamw, self.param_groups[self._count :], self.state)

    def _step_sharded(self, matrix: Tensor, group: dict[str, Any]) -> None:
        """One step of a sharded matrix, whose singular values depend on all of its rows.

        Each process makes the step of the full tensor and keeps its local shard of the result.
        """
        if matrix.grad is None:
            return
        plain = nn.Parameter(full_tensor(matrix.detach()))
        plain.grad = full_tensor(matrix.grad)
        state = defaultdict(
            dict, {plain: {name: full_tensor(value) for name, value in self.state[matrix].items()}}
        )
        _step(self._muon, [{**group, "params": [plain]}], state)
        copy_full_tensor(matrix, plain.detach())
        self.state[matrix] = {name: shard_like(value, matrix) for name, value in state[plain].items()}


def _step(optimizer: torch.optim.Optimizer, groups: list[dict[str, Any]], state: Any) -> None:
    optimizer.param_groups, optimizer.state = groups, state
    optimizer.step()
