"""Which settings come first in the form, and its headings. Titles and help come from the declaration of a setting."""

from llm_studio.i18n import N_

MAIN = {
    "model": ("d_model", "n_layers", "n_heads", "d_ff", "max_seq_len", "vocab_size", "dropout"),
    "training": ("max_steps", "batch_size", "learning_rate", "warmup_steps"),
}
"""By section: the settings that are always shown, in this order; the others are under “Advanced”."""

HEADINGS = {"model": N_("The model"), "training": N_("Training")}
