"""New rows that learn together: every step moves all of them by one linear map of features of their tokens.

A row that learns by itself moves wherever the softmax pushes it, in steps that do not show its token as
well, and a rare token is shown too rarely to be brought back. Here the gradient of the rows (N, D) becomes
that of a map (F, D): features' x gradient. The optimiser moves the map, and the rows follow: rows += features
x change. So each token profits from every text. The rule `mapped` learns its rows in the same way, through
the frozen base (`ekle.extension.rules.mapped`); this goes on while the adapters learn.

The features are those of the rows as the training begins: mean, last and first of the base tokens' rows, and
the new row itself. The map starts each step at 0, since only its change counts; a checkpoint needs no more
than the optimiser's momentum.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ekle.model.distributed import is_sharded_tensor, local_shard, shard_like
from ekle.model.layers.new_rows import NewRows
from ekle.model.layers.row_features import base_token_features, joined
from ekle.model.processes import Processes


def shared_features(
    model: Any, rows: NewRows, base_tokens: Sequence[Sequence[int]], dtype: torch.dtype
) -> list[Tensor]:
    """Features (N, F) of the new tokens for each matrix of `rows.parameters()`.

    Args:
        model: a causal language model with split rows (`ekle.model.layers.new_rows`), not sharded.
        rows: its new rows as the extension made them.
        base_tokens: ids of the base tokens of each new token; the row of one without any stays as it is.
        dtype: of the features, and so of the products with them.
    """
    known = [place for place, ids in enumerate(base_tokens) if ids]
    found, matrices = [], (model.get_input_embeddings().base, model.get_output_embeddings().base)
    for own, matrix in zip(rows.parameters(), matrices, strict=False):  # tied, the first stands for both
        matrix = matrix.detach()
        scale = float(matrix.float().square().mean().sqrt())
        parts = [*base_token_features(matrix, [base_tokens[place] for place in known]), own.detach()[known]]
        features = torch.zeros(len(own), sum(part.shape[1] for part in parts), dtype=dtype)
        features[known] = joined(parts, scale, dtype).cpu()
        found.append(features)
    return found


class SharedRows:
    """Between the gradients of the new rows and an optimiser that moves `maps` in their place.

    Args:
        rows: the new rows, sharded over processes or not, on their device.
        features: for each matrix of `rows` (`shared_features`), in full.
        processes: who takes part.
    """

    def __init__(self, rows: NewRows, features: Sequence[Tensor], processes: Processes) -> None:
        self._rows, self._processes = list(rows.parameters()), processes
        self._features = [
            local_shard(shard_like(each, own)).to(local_shard(own).device)
            for each, own in zip(features, self._rows, strict=True)
        ]
        self.maps = [
            nn.Parameter(torch.zeros(each.shape[1], own.shape[1], device=each.device))
            for each, own in zip(self._features, self._rows, strict=True)
        ]
        """(F, D) for each matrix; the same in every process."""

    def take_gradients(self) -> None:
        """Turn the gradients of the rows into gradients of the maps; collective where rows are sharded."""
        for own, features, map_ in zip(self._rows, self._features, self.maps, strict=True):
            gradient, own.grad = own.grad, None
            if gradient is None:
                map_.grad = None
                continue
            found = (features.T @ local_shard(gradient).to(features.dtype)).float()
            map_.grad = self._processes.sum(found) if is_sharded_tensor(gradient) else found

    @torch.no_grad()
    def move_rows(self) -> None:
        """Move the rows by what the optimiser's step has changed the maps."""
        for own, features, map_ in zip(self._rows, self._features, self.maps, strict=True):
            local_shard(own).add_((features @ map_.to(features.dtype)).float())
            map_.zero_()
