"""How a run's parameters lie over its ranks, and what follows for gradients, norms and checkpoints.

Three ways, and a parameter lies in one of them:

- **whole**: every rank has it; gradients are summed by an all-reduce.
- **sharded** (FSDP2): each rank has a slice, gathered while its layer runs. Repeated layers and large
  tables are sharded; what is small stays whole. A stage of several players stays whole: they hand the right
  to gradients on to each other, which FSDP2 does not follow.
- **spread**: routed experts, `ParallelConfig.expert` ranks share them (`expert_parallel`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.utils.checkpoint import checkpoint

from training.config import ParallelConfig
from training.loop.optimizer import local
from training.ranks.expert_parallel import spread_experts
from training.ranks.ranks import Ranks
from training.stage import Stage
from uniaudio.errors import InvalidInputError
from uniaudio.nn.moe import Experts

_BUCKET_ELEMENTS = 16 * 1024 * 1024
_LARGE_ELEMENTS = 1024 * 1024


class Layout:
    """Lays a stage's modules over the ranks, in place, and knows afterwards how each parameter lies.

    Raises InvalidInputError where the experts, or the ranks, cannot be divided as configured.
    """

    def __init__(self, ranks: Ranks, config: ParallelConfig, stage: Stage) -> None:
        self.ranks = ranks
        self._mesh = _expert_mesh(ranks, config.expert)
        self._spread: set[int] = set()
        modules = [module for player in stage.players for module in player.modules.values()]
        if ranks.count > 1:
            _give_first_rank_weights(stage.modules.values())
        if self._mesh is not None:
            self._spread_experts(modules, self._mesh)
        if config.activation_checkpointing:
            for layer in repeated_layers(modules):
                setattr(layer, "forward", partial(checkpoint, layer.forward, use_reentrant=False))  # noqa: B010
        self._is_fully_sharded = ranks.count > 1 and config.shard and len(stage.players) == 1
        if self._is_fully_sharded:
            self._shard(modules)

    @property
    def is_sharded(self) -> bool:
        """Whether no rank can run the modules without the others."""
        return self._is_fully_sharded or self._mesh is not None

    @torch.no_grad()
    def sum_gradients(self, parameters: Mapping[str, nn.Parameter]) -> None:
        """Makes each gradient the sum over all ranks; a parameter that no rank has one for keeps none."""
        if self.ranks.count == 1:
            return
        # Sharded ones were summed when their layer was done.
        mine = [parameter for parameter in parameters.values() if not isinstance(parameter, DTensor)]
        has_gradient = self.ranks.any_of(*(parameter.grad is not None for parameter in mine))
        moved = [parameter for parameter, has in zip(mine, has_gradient, strict=True) if has]
        for parameter in moved:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        _all_reduce([p.grad for p in moved if p.grad is not None and id(p) not in self._spread], None)
        if self._mesh is not None:
            group = self._mesh.get_group("copies")
            _all_reduce([p.grad for p in moved if p.grad is not None and id(p) in self._spread], group)

    @torch.no_grad()
    def norm_and_loss(self, parameters: Mapping[str, nn.Parameter], loss: Tensor) -> tuple[float, float]:
        """The norm of all gradients taken as one vector, and the loss summed over ranks; one wait for the GPU."""
        squares = loss.new_zeros((), dtype=torch.float64)
        for parameter in parameters.values():
            if parameter.grad is not None:
                norm = torch.linalg.vector_norm(local(parameter.grad), dtype=torch.float32)
                squares += norm.double().square() / self._num_copies(parameter)
        both = torch.stack([squares, loss.double()])
        if self.ranks.count > 1:
            dist.all_reduce(both)
        square, total = both.tolist()
        return square**0.5, total

    def saved(self, tensor: Tensor, parameter: Tensor) -> Tensor:
        """`tensor`, which lies as `parameter` does, as a checkpoint must see it; shares its memory."""
        if id(parameter) not in self._spread:
            return tensor.detach()
        return DTensor.from_local(tensor.detach(), self._mesh, [Replicate(), Shard(0)], run_check=False)

    def whole(self, tensor: Tensor, parameter: Tensor) -> Tensor:
        """All of a tensor that lies as `parameter` does; every rank calls it."""
        saved = self.saved(tensor, parameter)
        return saved.full_tensor() if isinstance(saved, DTensor) else saved

    def _num_copies(self, parameter: nn.Parameter) -> int:
        """On how many ranks the same elements lie."""
        if isinstance(parameter, DTensor):
            return 1
        if self._mesh is not None and id(parameter) in self._spread:
            return self._mesh.size(0)
        return self.ranks.count

    def _spread_experts(self, modules: Iterable[nn.Module], mesh: DeviceMesh) -> None:
        group = mesh.get_group("experts")
        for module in modules:
            for part in module.modules():
                if type(part) is Experts:
                    spread_experts(part, group)
                    self._spread.update(map(id, part.parameters()))

    def _shard(self, modules: Sequence[nn.Module]) -> None:
        mesh = init_device_mesh(self.ranks.device.type, (self.ranks.count,))
        units = [*repeated_layers(modules), *_large_tables(modules)]
        for unit in units:
            spread = {parameter for parameter in unit.parameters() if id(parameter) in self._spread}
            sharded = fully_shard(unit, mesh=mesh, reshard_after_forward=True, ignored_params=spread)
            sharded.set_gradient_divide_factor(1.0)  # parts of losses add up: no average
            sharded.set_force_sum_reduction_for_comms(True)  # gloo knows no other


def repeated_layers(modules: Iterable[nn.Module]) -> list[nn.Module]:
    """The outermost items of module lists that have parameters: what is sharded and recomputed as one."""
    found: dict[int, nn.Module] = {}
    for module in modules:
        for child in module.children():
            if isinstance(module, nn.ModuleList) and next(child.parameters(), None) is not None:
                found[id(child)] = child
            else:
                found.update((id(layer), layer) for layer in repeated_layers([child]))
    return list(found.values())


def _large_tables(modules: Sequence[nn.Module]) -> list[nn.Module]:
    """Embeddings and projections outside repeated layers that are worth a gather of their own."""
    in_layers = {id(part) for layer in repeated_layers(modules) for part in layer.modules()}
    parts = {id(part): part for module in modules for part in module.modules() if id(part) not in in_layers}
    tables = [part for part in parts.values() if isinstance(part, nn.Embedding | nn.Linear)]
    num_owners = Counter(id(table.weight) for table in tables)  # tied tables stay whole
    return [
        table
        for table in tables
        if table.weight.numel() >= _LARGE_ELEMENTS and num_owners[id(table.weight)] == 1
    ]


def _expert_mesh(ranks: Ranks, num_expert_ranks: int) -> DeviceMesh | None:
    """Ranks as (copies, experts): neighbours share the experts. None where every rank holds all of them."""
    if num_expert_ranks == 1:
        return None
    if ranks.count % num_expert_ranks:
        raise InvalidInputError(
            f"ParallelConfig.expert is {num_expert_ranks} and the run has {ranks.count} ranks; start a multiple of "
            f"{num_expert_ranks} ranks with torchrun, or set expert to a divisor of {ranks.count}"
        )
    shape = (ranks.count // num_expert_ranks, num_expert_ranks)
    return init_device_mesh(ranks.device.type, shape, mesh_dim_names=("copies", "experts"))


@torch.no_grad()
def _give_first_rank_weights(modules: Iterable[nn.Module]) -> None:
    """Every rank begins with the same weights, however each of them was built."""
    seen: set[int] = set()
    for module in modules:
        for tensor in [*module.parameters(), *module.buffers()]:
            if id(tensor) not in seen:
                seen.add(id(tensor))
                dist.broadcast(tensor.detach(), src=0)


def _all_reduce(gradients: Sequence[Tensor], group: dist.ProcessGroup | None) -> None:
    for bucket in _buckets(gradients):
        flat = torch.cat([gradient.flatten() for gradient in bucket])
        dist.all_reduce(flat, group=group)
        parts = torch.split(flat, [gradient.numel() for gradient in bucket])
        for gradient, part in zip(bucket, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def _buckets(gradients: Iterable[Tensor]) -> Iterable[list[Tensor]]:
    """Gradients of one dtype at a time, enough together for one call."""
    bucket: list[Tensor] = []
    size = 0
    for gradient in gradients:
        if bucket and (size >= _BUCKET_ELEMENTS or gradient.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(gradient)
        size += gradient.numel()
    if bucket:
        yield bucket
