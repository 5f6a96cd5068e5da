"""The views of `inspect` as text: tables for a terminal, and the text tinted by surprise."""

from typing import TYPE_CHECKING, Any

from llm_studio.cli.options import table
from llm_studio.i18n import _, bits_per_byte, ngettext, number, percent

if TYPE_CHECKING:
    from llm_studio.cli.inside.inspection import Inspection
    from llm_studio.workflows.inside import results

_TINTS = ((2.0, ""), (4.0, "black on #fde8c8"), (7.0, "black on #f9bd7a"), (10.0, "black on #ee8354"))
_STRONGEST = "black on #d94f4f"
_MOST_SURPRISING, _SOURCES, _CONTRIBUTIONS, _PARTS = 10, 3, 20, 20


def tinted(found: "results.Surprise") -> list[tuple[str, str]]:
    """The text with each token tinted by its bits, and a legend: parts, each with its style."""
    parts = [(token.text, _tint(float(bits))) for token, bits in zip(found.tokens[1:], found.bits[1:], strict=True)]
    parts.append(("\n\n" + _("Bits:") + " ", "dim"))
    least = 0.0
    for most, style in _TINTS:
        parts.append((f" {number(least)}–{number(most)} ", style or "dim"))
        least = most
    return [*parts, (f" > {number(least)} ", _STRONGEST)]


def surprise(wanted: "Inspection", found: "results.Surprise") -> str:
    """The total bits, and the most surprising tokens."""
    order = sorted(range(1, len(found.tokens)), key=lambda n: -float(found.bits[n]))[:_MOST_SURPRISING]
    rows = [(_("Position"), _("Token"), _("Expected"), _("Bits"), _("Probability"), _("Rank"))]
    for n in order:
        guess = wanted.session.guesses(found.next_tokens[n - 1][:1], found.next_probabilities[n - 1][:1])[0]
        rows.append((number(n), _shown(found.tokens[n].label), f"{_shown(guess.label)} {_percent(guess.probability)}",
                     number(float(found.bits[n]), 1), _percent(2.0 ** -float(found.bits[n])),
                     number(int(found.ranks[n]))))  # fmt: skip
    after = wanted.session.guesses(found.next_tokens[-1], found.next_probabilities[-1])[: wanted.count]
    facts = [
        (_("Text"), _("{tokens} tokens, {bytes} bytes").format(tokens=number(len(found.tokens) - 1),
                                                               bytes=number(found.bytes))),
        (_("Surprise"), _("{bits} bits, {per_byte}").format(bits=number(found.total_bits, 1),
                                                            per_byte=bits_per_byte(found.bits_per_byte))),
        (_("Next token"), _guesses(after)),
    ]  # fmt: skip
    if len(found.windows) > 1:
        facts.append((_("Context"), _("{n} windows of {context} tokens, overlapping by half").format(
            n=number(len(found.windows)), context=number(wanted.session.facts.context))))  # fmt: skip
    most = _("The most surprising tokens:") + "\n" + table(rows, 3) if order else ""
    return f"{table(facts)}\n\n{most}".rstrip()


def attention(wanted: "Inspection", found: "results.AttentionMaps") -> str:
    """The tokens to which each head attends from the position; for a single head, from every token."""
    single = wanted.layer is not None and wanted.head is not None
    length = found.window.length
    rows = [(_("Position") if single else _("Head"), _("Token"), _("looks at"))]
    n_layers, n_heads = found.weights.shape[:2]
    for layer in range(n_layers):
        for head in range(n_heads):
            if wanted.layer not in (None, layer + 1) or wanted.head not in (None, head + 1):
                continue
            for n in range(length) if single else [wanted.position - found.window.start]:
                weights = found.weights[layer, head, n].tolist()
                best = sorted(range(n + 1), key=lambda column: -weights[column])[:_SOURCES]
                sources = " · ".join(f"{_shown(found.tokens[one].label)} {_percent(weights[one])}" for one in best)
                name = number(found.window.start + n) if single else f"L{layer + 1}H{head + 1}"
                rows.append((name, _shown(found.tokens[n].label), sources))
    return table(rows)


def lens(wanted: "Inspection", found: "results.LogitLens") -> str:
    """Each layer's guesses at the position, and the layer from which on each token's guess is final."""
    at = wanted.position - found.window.start
    rows = [(_("Layer"), _("Guesses after “{token}”").format(token=_shown(found.tokens[at].label)))]
    for layer in range(len(found.guesses)):
        guesses = wanted.session.guesses(found.guesses[layer, at], found.probabilities[layer, at])[: wanted.count]
        rows.append((_("embeddings") if layer == 0 else number(layer), _guesses(guesses)))
    below = [(_("Position"), _("Token"), _("Final guess"), _("from layer"))]
    for n, token in enumerate(found.tokens):
        guess = wanted.session.guesses(found.guesses[-1, n, :1], found.probabilities[-1, n, :1])[0]
        below.append((number(found.window.start + n), _shown(token.label), _guesses((guess,)),
                      number(int(found.decided[n]))))  # fmt: skip
    return f"{table(rows)}\n\n{table(below, 1)}"


def contributions(wanted: "Inspection", found: "results.Contributions") -> str:
    """The parts that increase or decrease the logit the most."""
    parts = [(_("token embedding"), found.embedding), (_("position"), found.positions),
             (_("bias of the final norm"), found.norm_bias)]  # fmt: skip
    for layer, row in enumerate(found.heads.tolist()):
        parts += [(f"L{layer + 1}H{head + 1}", value) for head, value in enumerate(row)]
        parts.append((_("L{layer}, bias of attention").format(layer=layer + 1), float(found.attention_bias[layer])))
        parts.append((f"L{layer + 1}.feed_forward", float(found.feed_forward[layer])))
    largest = sorted((one for one in parts if one[1] != 0), key=lambda one: -abs(one[1]))
    rows = [(name, _signed(value)) for name, value in largest[:_CONTRIBUTIONS]]
    rest = largest[_CONTRIBUTIONS:]
    if rest:
        others = ngettext("{n} other", "{n} others", len(rest)).format(n=number(len(rest)))
        rows.append((others, _signed(sum(value for _name, value in rest))))
    if found.versus is None:
        head = _("What adds to the logit of “{token}” ({probability}) after position {position}:")
    else:
        head = _("Why “{token}” ({probability}) rather than “{other}”, after position {position}:")
    head = head.format(
        token=_shown(found.token.label), probability=_percent(found.token.probability),
        position=number(wanted.position), other=_shown(found.versus.label) if found.versus else "",
    )  # fmt: skip
    return head + "\n" + table([*rows, (_("Total"), _signed(found.logit))], 1)


def heads(_wanted: "Inspection", found: "results.HeadKinds") -> str:
    """The scores of all heads, and their names."""
    rows = [(_("Head"), _("Name"), *(kind_name(kind) for kind in found.kinds))]
    for layer, row in enumerate(found.scores.tolist()):
        for head, scores in enumerate(row):
            name = found.names[layer][head]
            rows.append((f"L{layer + 1}H{head + 1}", kind_name(name) if name else "–",
                         *(number(score, 2) for score in scores)))  # fmt: skip
    explained = _("Mean attention weights from {n} repeated random tokens; a head is named by its largest score if "
                  "that is at least {threshold}.")  # fmt: skip
    return f"{table(rows, len(found.kinds))}\n\n" + explained.format(
        n=number(found.half), threshold=number(found.threshold, 1)
    )


def embeddings(wanted: "Inspection", found: dict[str, Any]) -> str:
    """The nearest neighbours of each token."""
    label = wanted.session.vocabulary.label
    rows = [(_("Token"), _("nearest by cosine"))]
    for token, neighbours in found["neighbours"].items():
        near = " · ".join(f"{_shown(one.label)} {number(one.cosine, 2)}" for one in neighbours)
        rows.append((_shown(label(token)), near))
    return table(rows) if len(rows) > 1 else _("Name a token: --token TOKEN.")


def ablation(_wanted: "Inspection", found: "results.AblationEffect | list[results.PartImportance]") -> str:
    """The effect of the parts that are switched off, or the importance of each part."""
    if isinstance(found, list):
        rows = [(_("Switched off"), _("Bits per byte"), _("Change"))]
        rows += [(one.part, number(one.bits_per_byte, 3), _signed(one.change, 3)) for one in found[:_PARTS]]
        return table(rows, 2)
    rows = [
        (_("Model"), _("Bits per byte"), _("Text")),
        (_("whole"), bits_per_byte(found.intact_bits_per_byte), " ".join(found.intact_text.split())),
        (_("without {parts}").format(parts=", ".join(found.off)), bits_per_byte(found.bits_per_byte),
         " ".join(found.text.split())),
    ]  # fmt: skip
    return table(rows)


def titles() -> dict[str, str]:
    """The titles of the views, in the user's language."""
    return {
        "surprise": _("Surprise"), "attention": _("Attention"), "lens": _("Logit lens"),
        "contributions": _("Contributions to a logit"), "heads": _("What heads do"), "embeddings": _("Embeddings"),
        "ablation": _("Parts switched off"),
    }  # fmt: skip


def kind_name(kind: str) -> str:
    """The name of a kind of head, in the user's language."""
    names = {"previous": _("previous token"), "first": _("first token"), "self": _("itself"),
             "same": _("same token"), "induction": _("induction")}  # fmt: skip
    return names[kind]


def _guesses(guesses: "tuple[results.Guess, ...]") -> str:
    return " · ".join(f"{_shown(one.label)} {_percent(one.probability)}" for one in guesses)


def _shown(label: str) -> str:
    from llm_studio.workflows.tokenizer.lab import shown

    return shown(label.encode("utf-8", errors="replace"))


def _tint(bits: float) -> str:
    return next((style for most, style in _TINTS if bits < most), _STRONGEST)


def _percent(part: float) -> str:
    return percent(part, 1 if part >= 0.001 or part == 0 else 3)


def _signed(value: float, digits: int = 2) -> str:
    return ("+" if value >= 0 else "−") + number(abs(value), digits)
