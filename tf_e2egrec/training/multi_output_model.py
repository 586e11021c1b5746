"""`MultiOutputModel`: task balancing for any Keras model with named outputs."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from tf_e2egrec.keras_version import require_keras_2
from tf_e2egrec.training.multi_task_model import MultiTaskModel

require_keras_2()


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class MultiOutputModel(MultiTaskModel):
    """Makes a `MultiTaskModel` of a Keras model that returns a mapping of task name to output.

    Args:
      network: a model, functional or not, whose call returns a dictionary; its weights must exist.
      task_losses: task name -> Keras loss (an identifier, a `tf.keras.losses.Loss` or a function of
        `y_true, y_pred`), in the order of the tasks; list the one with the deepest path to the shared layer
        last. Labels come as a dictionary with the same keys.
      shared_layer: name of the layer of `network` at whose kernel GradNorm compares the gradients.

    Call arguments:
      inputs: what `network` takes.

    Returns:
      What `network` returns.

    Raises:
      ValueError: `network` has no such layer, or the layer has no kernel.

    Example:
      >>> inputs = tf.keras.Input((4,))
      >>> hidden = tf.keras.layers.Dense(8, activation="relu", name="shared")(inputs)
      >>> outputs = {name: tf.keras.layers.Dense(1, name=name)(hidden) for name in ("rain", "wind")}
      >>> network = tf.keras.Model(inputs, outputs)
      >>> model = MultiOutputModel(network, {"rain": "mse", "wind": "mae"}, shared_layer="shared")
      >>> model.compile("adam")
      >>> labels = {"rain": tf.ones((16, 1)), "wind": tf.zeros((16, 1))}
      >>> history = model.fit(tf.ones((16, 4)), labels, verbose=0, callbacks=[GradNorm(warmup_steps=2)])
      >>> sorted(name for name in history.history if name.startswith("task_weight"))
      ['task_weight/rain', 'task_weight/wind']
    """

    def __init__(
        self, network: tf.keras.Model, task_losses: Mapping[str, Any], shared_layer: str, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.network = network
        self.shared_layer = shared_layer
        self._loss_specs = {name: tf.keras.losses.get(loss) for name, loss in task_losses.items()}
        self._loss_configs = {
            name: loss if isinstance(loss, str) else tf.keras.losses.serialize(loss)
            for name, loss in task_losses.items()
        }
        if not hasattr(network.get_layer(shared_layer), "kernel"):
            raise ValueError(f"`shared_layer` should name a layer with a kernel. Received: {shared_layer!r}")
        self.set_tasks(tuple(task_losses))
        self.built = True  # the network's weights are there, and there are no others

    @property
    def shared_kernel(self) -> tf.Variable:
        """The kernel of the shared layer."""
        return self.network.get_layer(self.shared_layer).kernel

    def call(self, inputs: Any, training: bool | None = None) -> Mapping[str, tf.Tensor]:
        """See the class docstring."""
        return self.network(inputs, training=training)

    def task_losses(
        self, inputs: Any, labels: Mapping[str, tf.Tensor], training: bool
    ) -> dict[str, tf.Tensor]:
        """Mean loss of each task over the rows of the batch; float32 scalars."""
        outputs = self(inputs, training=training)
        return {
            name: _mean_loss(loss, labels[name], outputs[name]) for name, loss in self._loss_specs.items()
        }

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            "name": self.name,
            "network": tf.keras.saving.serialize_keras_object(self.network),
            "task_losses": self._loss_configs,
            "shared_layer": self.shared_layer,
        }

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Nothing to do: the network brings its weights."""

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "MultiOutputModel":
        """Inverse of `get_config`."""
        network = tf.keras.saving.deserialize_keras_object(config["network"], custom_objects=custom_objects)
        losses = {
            name: loss if isinstance(loss, str) else tf.keras.losses.deserialize(loss, custom_objects)
            for name, loss in config["task_losses"].items()
        }
        return cls(network, losses, config["shared_layer"], name=config["name"])


def _mean_loss(loss: Callable[..., tf.Tensor], labels: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """The mean over rows, also inside a distribution strategy, where Keras refuses to choose a reduction."""
    per_row = loss.call(labels, output) if isinstance(loss, tf.keras.losses.Loss) else loss(labels, output)
    return tf.reduce_mean(tf.cast(per_row, tf.float32))
