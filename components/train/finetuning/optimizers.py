"""The optimizer of the second phase: its schedule, its running mean, slower lower layers."""

from __future__ import annotations

import re
from typing import Any

from components.common.backend import keras
from components.train.networks.groups import list_groups, list_layers
from components.train.spec import Finetune

# Of several dimensions, and no kernels: class tokens and registers, position embeddings, scales of
# channels, the biases of attention's heads.
MARKS = re.compile(r"token|position|\.ls\d|bias$")
KINDS = {
    "adamw": keras.optimizers.AdamW,
    "adam": keras.optimizers.Adam,
    "sgd": keras.optimizers.SGD,
}

# After n steps the running mean is over about n / WARM_STEPS of them, until that is all it may be.
WARM_STEPS = 10


def create_optimizer(
    settings: Finetune, steps: int, scales: dict[str, float] | None = None, accumulate: int = 1
) -> keras.Optimizer:
    """Return the optimizer, its learning rate rising linearly, then falling as a half cosine to 0.

    Args:
        settings: which optimizer, its rate and decay.
        steps: of the whole phase.
        scales: factor on the learning rate by the path of the variable; where absent, 1.
        accumulate: batches whose gradients make one step.
    """
    # Keras counts every part of a step in its schedule.
    steps *= accumulate
    warmup = round(settings.warmup_fraction * steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else settings.rate,
        decay_steps=max(1, steps - warmup),
        warmup_target=settings.rate if warmup else None,
        warmup_steps=warmup,
    )
    options: dict[str, Any] = {"use_ema": True, "ema_momentum": settings.ema_momentum}
    if settings.clip_norm:
        options["global_clipnorm"] = settings.clip_norm
    if accumulate > 1:
        options["gradient_accumulation_steps"] = accumulate
    if settings.optimizer == "adamw":
        options["weight_decay"] = settings.weight_decay
    if settings.optimizer == "sgd":
        options |= {"momentum": 0.9, "nesterov": True}
    kind = KINDS[settings.optimizer]
    return _adapt(kind, scales or {}, settings.ema_momentum)(schedule, **options)


def compute_scales(network: keras.Model, decay: float) -> dict[str, float]:
    """Return layer-wise learning rates: ``decay`` to the power of the groups above, by path.

    Only groups of layers that train are counted; the head, which is on top, has factor 1.
    """
    if decay == 1.0:
        return {}
    groups = [
        weights
        for group in list_groups(network)
        if (weights := [weight for layer in group for weight in layer.trainable_weights])
    ]
    return {
        weight.path: decay**above
        for above, weights in enumerate(reversed(groups))
        for weight in weights
    }


def is_decayed(variable: Any) -> bool:
    """Whether weight decay pulls a variable to 0: kernels, not what shifts, scales or marks."""
    return len(variable.shape) > 1 and not MARKS.search(variable.path)


def has_batchnorm(network: keras.Model) -> bool:
    """Whether a network has BatchNorm, and so bears high learning rates."""
    kind = keras.layers.BatchNormalization
    return any(isinstance(layer, kind) for layer in list_layers(network))


def read_learning_rate(optimizer: keras.Optimizer) -> float:
    """Return the learning rate of the next step."""
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))


def _adapt(kind: Any, scales: dict[str, float], ema_momentum: float) -> Any:
    """Return an optimizer class with steps scaled by variable, that never ends before its end."""

    class Adapted(kind):  # type: ignore[misc]
        def finalize_variable_values(self, var_list: Any) -> None:
            """Do nothing: every `fit` would put the running mean in the weights' place."""

        def _update_model_variables_moving_average(self, trainable_variables: Any) -> None:
            """Take the mean over fewer steps at first, as TensorFlow's own running mean can.

            Over 50 steps from the first on, it would still be near the start after 40.
            """
            parts = self.gradient_accumulation_steps or 1
            steps = keras.ops.cast(self._iterations, "float32") / parts
            momentum = keras.ops.minimum((1 + steps) / (WARM_STEPS + steps), ema_momentum)
            # Keras takes a mean after every part of a step as well.
            self.ema_momentum = keras.ops.power(momentum, 1 / parts)
            try:
                super()._update_model_variables_moving_average(trainable_variables)
            finally:
                self.ema_momentum = ema_momentum

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            # TensorFlow hands over its own variable, which knows no path.
            own = self._trainable_variables[self._get_variable_index(variable)]
            factor = scales.get(own.path, 1.0)
            return super().update_step(gradient, variable, learning_rate * factor)

        def _apply_weight_decay(self, variables: Any) -> None:
            """Decay each variable at its own rate; Keras would take the whole one for all."""
            for variable in variables if self.weight_decay else ():
                own = self._trainable_variables[self._get_variable_index(variable)]
                if is_decayed(own):
                    rate = self.learning_rate * self.weight_decay * scales.get(own.path, 1.0)
                    self.assign_sub(own, own * keras.ops.cast(rate, own.dtype))

    return Adapted
