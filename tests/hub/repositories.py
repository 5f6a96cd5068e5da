"""What a loopback hub holds: datasets with their versions, as folders of a folder: OWNER/NAME/files."""

import hashlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

CONVERTED = "refs/convert/parquet"
_LARGE = (".parquet", ".gz", ".zst", ".jsonl", ".csv", ".arrow")
Content = bytes | Path


def content_of(file: Content) -> bytes:
    return file if isinstance(file, bytes) else file.read_bytes()


def size_of(file: Content) -> int:
    return len(file) if isinstance(file, bytes) else file.stat().st_size


def sha256_of(file: Content) -> str:
    return _sha256(file, None if isinstance(file, bytes) else file.stat().st_mtime_ns)


@cache
def _sha256(file: Content, _changed: int | None) -> str:
    return hashlib.sha256(content_of(file)).hexdigest()


def git_sha(file: Content) -> str:
    content = content_of(file)
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def is_large(path: str) -> bool:
    """Whether the hub keeps the file apart (LFS)."""
    return path.endswith(_LARGE)


@dataclass
class Repository:
    """One dataset. `versions`: its files at each commit, by the commit's sha; the last one is the newest."""

    name: str
    versions: dict[str, dict[str, Content]] = field(default_factory=dict[str, dict[str, Content]])
    branches: dict[str, str] = field(default_factory=dict[str, str])
    token: str | None = None
    """Who has this token may read it; None: everyone."""
    gated: bool = False
    downloads: int = 0
    likes: int = 0

    def commit(self, files: dict[str, Content], branch: str = "main") -> str:
        """A new version of all files."""
        listing = "".join(f"{path} {sha256_of(file)}\n" for path, file in sorted(files.items()))
        sha = hashlib.sha1((branch + listing + str(len(self.versions))).encode()).hexdigest()
        self.versions[sha] = files
        self.branches[branch] = sha
        return sha

    @property
    def sha(self) -> str:
        return self.branches["main"]

    def at(self, revision: str) -> str | None:
        """The commit that a revision names."""
        return self.branches.get(revision, revision if revision in self.versions else None)

    def card(self, sha: str) -> dict[str, Any]:
        """The YAML at the head of the README."""
        text = content_of(self.versions[sha].get("README.md", b"")).decode()
        return yaml.safe_load(text.split("---")[1]) or {} if text.startswith("---") else {}

    def tags(self, sha: str) -> list[str]:
        card = self.card(sha)
        languages = card.get("language") or []
        languages = [languages] if isinstance(languages, str) else languages
        tags = [f"language:{code}" for code in languages]
        tags += [f"license:{card['license']}"] if "license" in card else []
        sizes = card.get("size_categories") or []
        return tags + [f"size_categories:{size}" for size in ([sizes] if isinstance(sizes, str) else sizes)]

    def about(self, sha: str) -> dict[str, Any]:
        """What the API tells of it."""
        files = self.versions[sha]
        return {
            "_id": git_sha(self.name.encode())[:24], "id": self.name, "author": self.name.split("/")[0], "sha": sha,
            "lastModified": "2026-01-01T00:00:00.000Z", "createdAt": "2026-01-01T00:00:00.000Z", "private": False,
            "gated": "auto" if self.gated else False, "disabled": False, "tags": self.tags(sha),
            "cardData": self.card(sha), "downloads": self.downloads, "likes": self.likes,
            "mainSize": sum(size_of(file) for file in files.values()),
            "siblings": [{"rfilename": path} for path in sorted(files)],
        }  # fmt: skip

    def entry(self, sha: str, path: str) -> dict[str, Any] | None:
        """What the API tells of a file or a folder."""
        files = self.versions[sha]
        if path in files:
            file = files[path]
            entry: dict[str, Any] = {"type": "file", "oid": git_sha(file), "size": size_of(file), "path": path}
            if is_large(path):
                entry["lfs"] = {"oid": sha256_of(file), "size": size_of(file), "pointerSize": 134}
            return entry
        if any(name.startswith(path + "/") for name in files):
            return {"type": "directory", "oid": git_sha(path.encode()), "size": 0, "path": path}
        return None

    def tree(self, sha: str, folder: str, recursive: bool) -> list[dict[str, Any]]:
        """The files and folders in a folder."""
        start = f"{folder}/" if folder else ""
        names: set[str] = set()
        for path in self.versions[sha]:
            if path.startswith(start):
                parts = path[len(start) :].split("/")
                last = len(parts) if recursive else 1
                names |= {start + "/".join(parts[: n + 1]) for n in range(last)}
        return [entry for name in sorted(names) if (entry := self.entry(sha, name))]


def repositories_in(folder: Path) -> dict[str, Repository]:
    """The datasets in a folder; what is in their folder “.converted” is the hub's own conversion."""
    found: dict[str, Repository] = {}
    for root in sorted(path for path in folder.glob("*/*") if path.is_dir()):
        name = f"{root.parent.name}/{root.name}"
        repository = Repository(name, downloads=1000, likes=10)
        files: dict[str, Content] = {
            path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()
        }
        converted = {path[len(".converted/") :]: file for path, file in files.items() if path.startswith(".converted/")}
        repository.commit({path: file for path, file in files.items() if not path.startswith(".converted/")})
        if converted:
            repository.commit(converted, CONVERTED)
        found[name] = repository
    return found
