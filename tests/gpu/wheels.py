"""Small wheels of a torch that can do just what is asked of it when it is tried."""

import base64
import hashlib
import zipfile
from pathlib import Path

from packaging.tags import sys_tags

TAG = str(next(iter(sys_tags())))
WORKS = """
class Grad(list): pass
class Weights:
    def __init__(self): self.grad = None
    def __matmul__(self, other): return self
    def sum(self): return self
    def backward(self): self.grad = {(0, 0): 128.0}
def ones(*shape, device, requires_grad): return Weights()
class cuda:
    @staticmethod
    def is_available(): return False
"""
FAILS = "raise OSError(1114, 'a DLL initialisation routine failed', 'c10.dll')"
CRASHES = "import os; os._exit(0xC5)"


def name(version: str = "2.13.0+cu130", tag: str = TAG) -> str:
    """The name of a wheel."""
    return f"torch-{version}-{tag}.whl"


def make(folder: Path, code: str = WORKS, version: str = "2.13.0+cu130", files: dict[str, bytes] | None = None,
         damaged: bool = False, file: str = "") -> Path:  # fmt: skip
    """Write a wheel whose `torch/__init__.py` is `code`, with further files; `damaged`: RECORD tells of other ones."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "torch/__init__.py": f"__version__ = {version!r}\n{code}\n".encode(),
        "torch/lib/c10.dll": b"library" * 1000, "torch/lib/c10.lib": b"only for compilers",
        "torch/include/c10/c10.h": b"only for compilers",
    } | (files or {})  # fmt: skip
    rows = []
    for path, data in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest[::-1] if damaged else digest},{len(data)}")
    record = f"torch-{version}.dist-info/RECORD"
    made = folder / (file or name(version))
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            archive.writestr(path, data)
        archive.writestr(record, "\n".join([*rows, f"{record},,"]))
    return made
