"""Terms in the window that beginners may not know, each explained in a sentence or two, shown on hover."""

import html

from llm_studio.i18n import N_, _

TERMS = {
    "loss": N_(
        "How badly the model predicts the next token, averaged over the texts it learns from. Lower is better; 0 would"
        " mean that it foresees every token."
    ),
    "validation_loss": N_(
        "The same on texts that the model never learns from. When it rises while the training loss falls, the model"
        " learns by heart."
    ),
    "bits_per_byte": N_(
        "The loss in bits for each byte of text. Unlike the loss itself, it can be compared between models with"
        " different vocabularies."
    ),
    "perplexity": N_(
        "The loss as a number of choices: at a perplexity of 4, the model hesitates as if between four equally likely"
        " tokens."
    ),
    "tokens": N_("The pieces of text that a model reads and writes: words, parts of words, punctuation marks."),
    "tokens_per_second": N_(
        "How fast the model learns. A token is a piece of text: a word, a part of a word or a punctuation mark."
    ),
    "memory": N_(
        "What training occupies now, on the card or in the computer’s memory. It stays free for others after."
    ),
    "time_left": N_("How long the run still takes at the present speed, evaluations and checkpoints included."),
    "parameters": N_(
        "The numbers that training adjusts: all that the model knows is in them. More of them learn more, but need"
        " more texts, memory and time."
    ),
    "gradient_norm": N_(
        "How strongly a batch pulls at the parameters. Peaks are normal at first; if it keeps growing, the learning"
        " rate is too high."
    ),
    "learning_rate": N_(
        "How far each step moves the parameters. Too high, and the loss jumps or explodes; too low, and the model"
        " learns slowly."
    ),
    "d_model": N_(
        "How many numbers represent each token inside the model. Doubling the width makes the model about four times"
        " larger."
    ),
    "n_layers": N_(
        "How many blocks process the text one after the other. More layers can learn more complex patterns."
    ),
    "n_heads": N_("Each head looks for relations of its own between the tokens, such as a pronoun and its noun."),
    "d_ff": N_("The inner size of the feed-forward networks, where much of what the model knows is stored."),
    "max_seq_len": N_(
        "How many tokens the model sees at once. What lies further back in a text is forgotten; a longer context needs"
        " more memory and time."
    ),
    "vocab_size": N_(
        "How many different tokens there are. A larger vocabulary needs fewer tokens for a text, but more parameters."
    ),
    "dropout": N_(
        "Some of the model’s values are dropped at random during training, so that it relies on no single one. Helps"
        " when texts are few."
    ),
    "minutes": N_("How long to train. The number of steps follows from the speed of the computer."),
    "max_steps": N_("In each step the model reads a batch and adjusts its parameters once."),
    "batch_size": N_(
        "How many pieces of text the model reads together before it learns from them. A larger batch learns more"
        " steadily and needs more memory."
    ),
    "gradient_accumulation_steps": N_(
        "Several small batches count as a large one: the same learning with less memory, but more time per step."
    ),
    "warmup_steps": N_(
        "At first the learning rate rises from zero, because large steps would harm a model that knows nothing yet."
    ),
    "schedule": N_("How the learning rate falls after the warm-up: small steps at the end make the model precise."),
    "gradient_clip": N_("Limits how far one unusual batch can move the parameters."),
    "weight_decay": N_("Pulls the parameters gently towards zero, which works against learning by heart."),
    "optimizer": N_("The method that computes from the gradients how to change each parameter."),
    "eval_interval": N_("How often the model is tested on the held-out texts and writes samples."),
    "checkpoint_interval": N_(
        "A checkpoint is all that is needed to resume a run exactly where it was: the model and the state of its"
        " training."
    ),
    "snapshot_megabytes": N_(
        "A snapshot is the model alone at some step. Snapshots show how it learned, but training can’t resume from one."
    ),
    "seed": N_("The number from which everything random follows: the same seed gives the same result again."),
}
"""By term; for a setting, by the setting’s name."""


def explanation(term: str) -> str:
    """The explanation of a term in the user's language; "" if it needs none."""
    return _(TERMS[term]) if term in TERMS else ""


def tip(*terms: str, note: str = "") -> str:
    """A tooltip with the explanations of these terms, a paragraph each, and a note; rich text, so that Qt wraps
    lines."""
    found = [*(explanation(term) for term in terms), note]
    return "".join(f"<p>{html.escape(text)}</p>" for text in found if text)
