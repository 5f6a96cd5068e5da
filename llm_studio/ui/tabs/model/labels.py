"""Names of settings for people, and which of them come first in the form. A setting without a name here has its own."""

from llm_studio.i18n import N_

LABELS = {
    "model.vocab_size": N_("Vocabulary"), "model.d_model": N_("Width"), "model.n_heads": N_("Heads"),
    "model.n_layers": N_("Layers"), "model.d_ff": N_("Feed-forward width"), "model.max_seq_len": N_("Context"),
    "model.dropout": N_("Dropout"), "model.positions": N_("Positions"), "model.norm": N_("Normalisation"),
    "model.activation": N_("Activation"), "model.n_kv_heads": N_("Key/value heads"),
    "model.qk_norm": N_("Query/key norm"), "model.tie_embeddings": N_("Shared embedding"), "model.bias": N_("Bias"),
    "model.rope_theta": N_("Rotary base"),
    "model.zero_init": N_("Zero beginning"),
    "training.batch_size": N_("Batch"), "training.learning_rate": N_("Learning rate"),
    "training.optimizer": N_("Optimizer"), "training.muon_learning_rate": N_("Muon’s rate"),
    "training.muon_momentum": N_("Muon’s momentum"),
    "training.warmup_steps": N_("Warm-up"), "training.max_steps": N_("Steps"),
    "training.gradient_clip": N_("Gradient clipping"), "training.gradient_accumulation_steps": N_("Accumulation"),
    "training.activation_checkpointing": N_("Activation checkpointing"),
    "training.schedule": N_("Schedule"), "training.final_learning_rate_ratio": N_("Final rate"),
    "training.decay_share": N_("Decay"), "training.weight_decay": N_("Weight decay"), "training.beta1": "Beta 1",
    "training.beta2": "Beta 2", "training.eval_interval": N_("Evaluate every"),
    "training.eval_sequences": N_("Evaluation size"), "training.checkpoint_interval": N_("Checkpoint every"),
    "training.checkpoint_minutes": N_("Checkpoint after"), "training.sharded": N_("Sharded"),
    "training.cuda_graphs": N_("CUDA graphs"),
    "training.snapshot_megabytes": N_("Disk for snapshots"), "training.sample_prompts": N_("Sample prompts"),
    "training.seed": N_("Seed"), "training.device": N_("Device"), "training.precision": N_("Precision"),
    "training.threads": N_("Threads"), "training.loss_on": N_("Learn from"),
}  # fmt: skip

MAIN = {
    "model": ("d_model", "n_layers", "n_heads", "d_ff", "max_seq_len", "vocab_size", "dropout"),
    "training": ("max_steps", "batch_size", "learning_rate", "warmup_steps"),
}
"""By section: the settings that are always shown, in this order; the others are under “Advanced”."""

HEADINGS = {"model": N_("The model"), "training": N_("Its training")}

CHOICES = {
    "rope": "RoPE", "learned": N_("learned"), "sinusoidal": N_("sinusoidal"), "rmsnorm": "RMSNorm",
    "layernorm": "LayerNorm", "swiglu": "SwiGLU", "gelu": "GELU", "relu2": "ReLU²", "cosine": N_("cosine"),
    "linear": N_("linear"), "adamw": "AdamW", "muon": "Muon", "constant": N_("constant"),
    "auto": N_("automatic"), "cpu": N_("processor"), "cuda": N_("NVIDIA card"),
    "all": N_("all tokens"), "answers": N_("answers only"),
}  # fmt: skip
"""Names of choices for people; one that isn't here is shown as it is written."""

STEPS = {"d_model": 32, "d_ff": 32, "vocab_size": 256, "max_seq_len": 64}
"""What an arrow adds, where it isn't one of the second figure."""

PRESET_NAMES = {"nano": "Nano", "mini": "Mini", "small": N_("Small"), "medium": N_("Medium"), "gpt2": "GPT-2"}
