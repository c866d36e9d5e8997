"""Sophia-G: a second-order optimiser with a clipped update (Liu et al. 2023, arXiv:2305.14342).

    m <- b1 m + (1 - b1) g                      every step (Algorithm 3)
    h <- b2 h + (1 - b2) h'                     every k-th step, h' from `update_curvature`
    w <- w - lr * decay * w - lr * clip(m / max(rho h, epsilon), 1)

h' is the Gauss-Newton-Bartlett estimate (Algorithm 2): N g' * g', where g' is the gradient of the mean
loss of N tokens whose labels are sampled from the model itself.

m and h may be kept in bfloat16, which halves the optimiser's state. Neighbouring numbers of bfloat16 differ
by 0.4 %, far more than (1 - b2) adds to h, so rounding to the nearest would never change h. Stochastic
rounding is used instead: up or down at random, with odds by the distance, and so right on average.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ekle.model.distributed import local_shard


class Sophia(torch.optim.Optimizer):
    """See the module; `lr`, `weight_decay` and `sparse` may differ between the groups.

    Args:
        params: parameters, or groups of them. `sparse=True` in a group of matrices does not change a row
            that got no gradient, nor its momentum. Rows of an embedding need that: a row seen once has no
            curvature, so sign updates of full size would go on for hundreds of steps, until its momentum
            has decayed.
        lr: learning rate; no coordinate moves further than this in one step.
        betas: averages of the gradient and of the curvature.
        rho: weight of the curvature; a smaller rho clips more.
        weight_decay: decoupled, times the learning rate.
        epsilon: least curvature times rho.
        bias_correction: divide the curvature by 1 - b2^n after n estimates. The original does not, and so
            clips nearly every coordinate in the 200 estimates of a short run.
        state_dtype: precision of m and h; None is that of the parameters.

    Parameters may be sharded over processes (`ekle.model.distributed`): each updates its local shard.

    Attributes:
        counts: (2,), coordinates of the local shards that the last step clipped, and that it moved.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        betas: tuple[float, float] = (0.965, 0.99),
        rho: float = 0.04,
        weight_decay: float = 0.0,
        epsilon: float = 1e-12,
        bias_correction: bool = True,
        state_dtype: torch.dtype | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "rho": rho,
            "weight_decay": weight_decay,
            "epsilon": epsilon,
            "bias_correction": bias_correction,
            "sparse": False,
            "estimates": 0,
            "rounds": 0,
        }
        super().__init__(params, defaults)
        self.counts = torch.zeros(2)
        self._state_dtype = state_dtype

    @torch.no_grad()
    def update_curvature(self, tokens: int) -> None:
        """Take the present gradients, of the mean loss of `tokens` sampled labels, as an estimate.

        The estimate does not count for a group without any gradient.
        """
        for number, group in enumerate(self.param_groups):
            decay, rounding = group["betas"][1], _Rounding(number, group)
            learning = [parameter for parameter in group["params"] if parameter.grad is not None]
            group["estimates"] += bool(learning)
            for parameter in learning:
                curvature, gradient = (
                    local_shard(self._state(parameter)["curvature"]),
                    local_shard(parameter.grad),
                )
                averaged = curvature.to(gradient.dtype).mul_(decay)
                averaged.addcmul_(gradient, gradient, value=(1 - decay) * tokens)
                rounding.store(averaged, curvature)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update from the present gradients; a parameter without one does not change."""
        if closure is not None:
            raise ValueError("Sophia takes no closure")
        counts: list[Tensor] = []
        for number, group in enumerate(self.param_groups):
            rounding = _Rounding(number, group)
            moving = (parameter for parameter in group["params"] if parameter.grad is not None)
            counts += [self._step(parameter, group, rounding) for parameter in moving]
        if counts:
            self.counts = torch.stack(counts).sum(dim=0)

    def _step(self, parameter: Tensor, group: dict[str, Any], rounding: "_Rounding") -> Tensor:
        """Update one parameter; the numbers of its coordinates that were clipped, and that moved."""
        assert parameter.grad is not None
        state, gradient, lr = self._state(parameter), local_shard(parameter.grad), group["lr"]
        momentum, curvature = local_shard(state["momentum"]), local_shard(state["curvature"])
        parameter = local_shard(parameter)
        seen = gradient.ne(0).any(dim=1, keepdim=True) if group["sparse"] else None
        averaged = momentum.to(gradient.dtype).lerp(gradient, 1 - group["betas"][0])
        if seen is not None:
            averaged = torch.where(seen, averaged, momentum)
        rounding.store(averaged, momentum)
        decay = 1 - lr * group["weight_decay"]
        parameter.mul_(decay if seen is None else torch.where(seen, decay, 1.0))

        correction = 1.0
        if group["bias_correction"] and group["estimates"]:
            correction = 1 - group["betas"][1] ** group["estimates"]
        scale = (curvature.to(gradient.dtype) * (group["rho"] / correction)).clamp_(min=group["epsilon"])
        update = averaged / scale
        if seen is not None:
            update *= seen
        clipped = (update.abs() >= 1).sum()
        parameter.add_(update.clamp_(-1, 1), alpha=-lr)
        total = clipped.new_tensor(update.numel()) if seen is None else seen.sum() * update.shape[1]
        return torch.stack([clipped, total])

    def _state(self, parameter: Tensor) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter, dtype=self._state_dtype)
            state["curvature"] = torch.zeros_like(parameter, dtype=self._state_dtype)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state, and keep its precision; PyTorch would convert it to that of the parameters."""
        super().load_state_dict(state_dict)
        if self._state_dtype is not None:
            for state in self.state.values():
                state.update({name: value.to(self._state_dtype) for name, value in state.items()})


class _Rounding:
    """Stores values of one group in its state; interruptions do not change how they are rounded."""

    def __init__(self, number: int, group: dict[str, Any]) -> None:
        group["rounds"] += 1
        self._seed = (number << 32) + group["rounds"]
        self._generator: torch.Generator | None = None

    def store(self, values: Tensor, state: Tensor) -> None:
        """Write float32 `values` into `state`, by stochastic rounding if it is bfloat16."""
        if state.dtype == torch.bfloat16:
            if self._generator is None:
                self._generator = torch.Generator(state.device).manual_seed(self._seed)
            # bfloat16 is the upper half of float32: noise that is added to the lower half may carry into it.
            noise = torch.empty_like(values, dtype=torch.int32).random_(0, 2**16, generator=self._generator)
            values = noise.add_(values.view(torch.int32)).bitwise_and_(-(2**16)).view(torch.float32)
        state.copy_(values)
