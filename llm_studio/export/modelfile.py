"""The Modelfile beside a GGUF file: Ollama's prompt template, and the tokens that end a text."""

from llm_studio.data.sources.conversations import ASSISTANT, USER
from llm_studio.export.architectures import architecture_of
from llm_studio.export.chat_template import stops
from llm_studio.export.sampling import for_ollama
from llm_studio.export.source import Source
from llm_studio.i18n import _

MODELFILE = "Modelfile"

_CHAT = (
    '{{- $system := "" }}'
    "{{- range .Messages }}"
    '{{- if eq .Role "system" }}{{ $system = .Content }}'
    f'{{{{- else if eq .Role "user" }}}}{USER}{{{{ if $system }}}}{{{{ $system }}}}\n\n'
    '{{ $system = "" }}{{ end }}{{ .Content }}'
    f'{{{{- else if eq .Role "assistant" }}}}{ASSISTANT}{{{{ .Content }}}}{{{{ end }}}}'
    f"{{{{- end }}}}{ASSISTANT}"
)
"""The template of `chat_template.py` in Go's template language."""
_CONTINUE = "{{ .Prompt }}"


def modelfile(found: Source, file: str, pre: str) -> str:
    """The Modelfile for the GGUF file `file`, whose pre-tokenizer is called `pre`."""
    parameters = {"num_ctx": found.settings.model.max_seq_len, **for_ollama(found.settings.generation)}
    lines = ["# " + _("Made with LLM Studio. In this folder: ollama create NAME -f Modelfile, then ollama run NAME")]
    if (architecture_of(found.settings.model), pre) != ("qwen3", "qwen2"):
        lines += [
            "# " + _("Some versions of Ollama split numbers and line ends into other tokens than LLM Studio, so that "
                     "this model writes worse there. llama.cpp and LM Studio split them as LLM Studio does."),
        ]  # fmt: skip
    lines += [f"FROM ./{file}", f'TEMPLATE """{_CHAT if found.conversations else _CONTINUE}"""']
    lines += [f"PARAMETER {name} {value}" for name, value in parameters.items()]
    lines += [f'PARAMETER stop "{text}"' for text in stops(found.tokenizer.markers, found.conversations)]
    return "\n".join(lines) + "\n"
