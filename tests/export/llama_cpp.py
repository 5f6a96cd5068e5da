"""llama.cpp, run in this process by xllamacpp, asked over its local web server."""

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xllamacpp


class LlamaCpp:
    """A model in a GGUF file: keys and values in float32, no flash attention, one thread."""

    def __init__(self, path: Path, context: int) -> None:
        settings = xllamacpp.CommonParams()
        settings.model.path = str(path)
        settings.n_ctx = settings.n_batch = settings.n_ubatch = context
        settings.n_parallel = 1
        settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        settings.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
        settings.n_gpu_layers = 0
        settings.warmup = False
        settings.fit_params = False
        settings.use_jinja = True
        settings.port, settings.verbosity = 0, -1
        self._server = xllamacpp.Server(settings)
        self._address = self._server.listening_address

    def ask(self, path: str, **content: object) -> dict[str, Any]:
        """The answer to a request."""
        request = urllib.request.Request(
            f"{self._address}{path}", json.dumps(content).encode(), {"Content-Type": "application/json"}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=120) as answer:
            return json.load(answer)

    def encode(self, text: str) -> list[int]:
        """The ids of a text; names of special tokens in it are text."""
        return self.ask("/tokenize", content=text, add_special=True, parse_special=False)["tokens"]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids."""
        return self.ask("/detokenize", tokens=list(ids))["content"]

    def greedy(self, ids: Sequence[int], count: int) -> list[int]:
        """The most likely tokens that follow; none that ends a text."""
        return self._complete(ids, n_predict=count, ignore_eos=True, return_tokens=True)["tokens"]

    def log_probabilities(self, ids: Sequence[int], vocabulary: int) -> list[float]:
        """Of each token after these."""
        found = self._complete(ids, n_predict=1, n_probs=vocabulary)["completion_probabilities"][0]["top_logprobs"]
        assert len(found) == vocabulary
        return [one["logprob"] for one in sorted(found, key=lambda one: one["id"])]

    def prompt(self, messages: Sequence[dict[str, str]]) -> str:
        """What a chat becomes by the model's own template."""
        return self.ask("/apply-template", messages=list(messages))["prompt"]

    def _complete(self, ids: Sequence[int], **options: object) -> dict[str, Any]:
        return self.ask("/completion", prompt=list(ids), temperature=0, cache_prompt=False, **options)
