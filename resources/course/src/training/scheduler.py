"""The learning rate: it rises from zero, then falls slowly."""

# [if cosine]
import math

# [end]


def learning_rate(step: int, training) -> float:
    """The rate of update number `step`, counted from 1. `training`: those settings in config/config.yaml."""
    peak, lowest = training.learning_rate, training.learning_rate * training.final_learning_rate_ratio
    warmup, last = training.warmup_steps, training.max_steps
    if step <= warmup:
        return peak * step / warmup
    # [if constant]
    begin = max(warmup, last - round(training.decay_share * last))
    progress = min(1.0, max(0.0, (step - begin) / max(1, last - begin)))
    # [else]
    progress = min(1.0, (step - warmup) / max(1, last - warmup))
    # [end]
    # [if cosine]
    falling = (1 + math.cos(math.pi * progress)) / 2  # from 1 to 0, slow at both ends
    # [else]
    falling = 1 - progress
    # [end]
    return lowest + (peak - lowest) * falling
