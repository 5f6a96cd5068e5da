"""The WebAssembly of the page is what its readable source says."""

import wasmtime

from llm_studio.paths import resource


def test_the_bytes_are_what_the_source_is_assembled_to() -> None:
    source = resource("web", "products.wat").read_text(encoding="utf-8")
    assert bytes(wasmtime.wat2wasm(source)) == resource("web", "products.wasm").read_bytes(), (
        "assemble resources/web/products.wat again: wasmtime.wat2wasm"
    )


def test_it_is_small() -> None:
    assert len(resource("web", "products.wasm").read_bytes()) < 1024
