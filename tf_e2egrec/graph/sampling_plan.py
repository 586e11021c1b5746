"""`SamplingPlan`: which edges of a heterogeneous graph are sampled around a seed, hop by hop."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

import pydantic
import yaml
from pydantic import Field, model_validator

from tf_e2egrec.dataset.description.strict_model import StrictModel
from tf_e2egrec.dataset.ids import hash_keys
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.sampling import ImportanceCorrection
from tf_e2egrec.graph.sampling_op import SEEDS, SamplingOp


class OpEnds(NamedTuple):
    """The node sets between which an op walks."""

    start: str
    arrival: str


class SamplingPlan(StrictModel):
    """Seeds and a list of ops; each op starts from the seeds or from where earlier ops arrived, so any number of hops.

    As YAML, two hops over Swing edges and the fans of the seed:

        seed_node_set: item
        ops:
          - {name: near, edge_set: swing, fanout: 20}
          - {name: far, edge_set: swing, from: [near], fanout: 5}
          - {edge_set: click, fanout: 10, beta: 0}

    The noise of an op is a hash of (seed, epoch, number of the op, source, target). Two ops over the same edge set, one after the other
    or side by side, therefore draw independently; what a node's sample is does not depend on the seed around which it was met, so a
    popular node is sampled once for all seeds.

    Attributes:
      seed_node_set: where the seeds live.
      ops: in order.
      top: only the `top` heaviest edges of a node are sampled from; longer adjacency lists are cut before anything is sampled.
      seed, epoch: of the noise; another epoch is another sample.
      deterministic: take the heaviest edges instead of a sample.
      importance_correction: of the propagation weights, see `sampling.sample_neighbours`.
      target_edge_sets: edge sets from which the edge between a seed and its target (what a model is to predict) is left out, in both
        directions.
    """

    seed_node_set: str
    ops: tuple[SamplingOp, ...] = Field(min_length=1)
    top: int = Field(default=200, ge=1)
    seed: int = 0
    epoch: int = 0
    deterministic: bool = False
    importance_correction: ImportanceCorrection = "none"
    target_edge_sets: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _inputs_come_first(self) -> Self:
        known = {SEEDS}
        for op, name in zip(self.ops, self.op_names, strict=True):
            unknown = [one for one in op.inputs if one not in known]
            if unknown:
                raise ValueError(
                    f"op `{name}` starts from `{unknown[0]}`, which is neither `{SEEDS}` nor an earlier op"
                )
            if name in known:
                raise ValueError(f"there are two ops named `{name}`")
            known.add(name)
        return self

    @property
    def op_names(self) -> tuple[str, ...]:
        """The name of each op."""
        return tuple(op.name or f"{op.edge_set}-{number}" for number, op in enumerate(self.ops))

    def inputs_of(self, number: int) -> list[int]:
        """Numbers of the ops that op `number` starts from; -1 is the seeds."""
        places = {SEEDS: -1} | {name: place for place, name in enumerate(self.op_names)}
        return sorted({places[name] for name in self.ops[number].inputs})

    def noise_seed(self, number: int) -> int:
        """The seed of op `number`'s noise."""
        return int(hash_keys(self.seed, number))

    def ends(self, edge_sets: Mapping[str, tuple[str, str]]) -> tuple[OpEnds, ...]:
        """The node sets between which each op walks.

        Args:
          edge_sets: name -> (source node set, target node set) of the graph.

        Raises:
          E2EGRecError: an edge set is unknown, or an op starts from nodes of another node set than its edges.
        """
        for name in (*(op.edge_set for op in self.ops), *self.target_edge_sets):
            if name not in edge_sets:
                raise E2EGRecError(
                    f"the sampling plan names the edge set `{name}`; the graph has {', '.join(sorted(edge_sets))}"
                )
        ends: list[OpEnds] = []
        for number, op in enumerate(self.ops):
            source, target = edge_sets[op.edge_set]
            end = OpEnds(target, source) if op.direction == "incoming" else OpEnds(source, target)
            for place in self.inputs_of(number):
                found = self.seed_node_set if place < 0 else ends[place].arrival
                if found != end.start:
                    raise E2EGRecError(
                        f"op `{self.op_names[number]}` of the sampling plan follows {op.direction} `{op.edge_set}` edges from "
                        f"`{end.start}` nodes, but starts from `{found}` nodes; change its `direction` or `from`"
                    )
            ends.append(end)
        return tuple(ends)

    @staticmethod
    def load(path: str | Path) -> "SamplingPlan":
        """Read a plan from a YAML file.

        Raises:
          E2EGRecError: the file cannot be read, or a key or value is wrong.
        """
        try:
            content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise E2EGRecError(
                f"the sampling plan {path} cannot be read: {' '.join(str(error).split())}"
            ) from None
        try:
            return SamplingPlan.model_validate(content)
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            message = first["msg"].removeprefix("Value error, ")
            raise E2EGRecError(f"the sampling plan {path}: {f'`{key}`: ' if key else ''}{message}") from None
