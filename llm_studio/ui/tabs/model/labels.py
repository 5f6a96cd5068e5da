"""The order of settings in the form, and its headings. Titles and help come from the declarations of settings."""

from llm_studio.i18n import N_

SIMPLE = {
    "model": ("d_model", "n_layers", "max_seq_len"),
    "training": ("minutes", "max_steps"),
}
"""By section: the settings that are always shown; the others are under “More settings”."""

NEXT = {
    "model": ("n_heads", "d_ff", "vocab_size", "dropout"),
    "training": ("batch_size", "learning_rate", "warmup_steps"),
}
"""By section: the settings that come first under “More settings”."""

HEADINGS = {"model": N_("The model"), "training": N_("Training")}
