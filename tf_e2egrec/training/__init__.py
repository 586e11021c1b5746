"""Training: GradNorm, the multi-task base model, optimisers for embedding tables."""

from tf_e2egrec.training.grad_norm import GradNorm
from tf_e2egrec.training.multi_task_model import MultiTaskModel
from tf_e2egrec.training.row_sparse_adam import RowSparseAdam
from tf_e2egrec.training.task_balancer import TaskBalancer, grad_norm_gradient

__all__ = ["GradNorm", "MultiTaskModel", "RowSparseAdam", "TaskBalancer", "grad_norm_gradient"]
