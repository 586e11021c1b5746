"""Training: GradNorm, the multi-task base model, resumable runs, optimisers for embedding tables."""

from tf_e2egrec.training.checkpoints import Checkpoints
from tf_e2egrec.training.diagnostics import Diagnostics
from tf_e2egrec.training.effective_rank import effective_rank
from tf_e2egrec.training.epoch_dataset import epoch_dataset
from tf_e2egrec.training.fused_adam import FusedAdam
from tf_e2egrec.training.grad_norm import GradNorm
from tf_e2egrec.training.loss_guard import LossGuard
from tf_e2egrec.training.multi_output_model import MultiOutputModel
from tf_e2egrec.training.multi_task_model import MultiTaskModel
from tf_e2egrec.training.replica_group import ReplicaGroup
from tf_e2egrec.training.row_sparse_adam import RowSparseAdam
from tf_e2egrec.training.task_balancer import TaskBalancer, grad_norm_gradient
from tf_e2egrec.training.worker_checkpoints import WorkerCheckpoints

__all__ = [
    "Checkpoints",
    "Diagnostics",
    "FusedAdam",
    "GradNorm",
    "LossGuard",
    "MultiOutputModel",
    "MultiTaskModel",
    "ReplicaGroup",
    "RowSparseAdam",
    "TaskBalancer",
    "WorkerCheckpoints",
    "effective_rank",
    "epoch_dataset",
    "grad_norm_gradient",
]
