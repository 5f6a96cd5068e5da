"""The learning rate as a function of the step alone."""

import math

from llm_studio.config import TrainingSettings


def learning_rate(step: float, settings: TrainingSettings) -> float:
    """The rate for update number `step`, counted from 1; fractional if the schedule is fitted to a time.

    With peak rate η, warm-up w, last step n, final ratio r and progress p = (step - w) / (n - w):

    - warm-up, step ≤ w:  η · step / w
    - "cosine":           η · (r + (1 - r) · (1 + cos πp) / 2)          (Loshchilov & Hutter, arXiv:1608.03983)
    - "linear":           η · (r + (1 - r) · (1 - p))
    - "constant":         η, then linear to η · r in the last `decay_share` of the steps   (WSD, arXiv:2404.06395)
    """
    peak, final = settings.learning_rate, settings.final_learning_rate_ratio
    warmup, last = settings.warmup_steps, settings.max_steps
    if step <= warmup:
        return peak * step / warmup
    if settings.schedule == "constant":
        begin = max(warmup, last - round(settings.decay_share * last))
        progress = (step - begin) / max(1, last - begin)
    else:
        progress = (step - warmup) / max(1, last - warmup)
    progress = min(1.0, max(0.0, progress))
    falling = (1 + math.cos(math.pi * progress)) / 2 if settings.schedule == "cosine" else 1 - progress
    return peak * (final + (1 - final) * falling)
