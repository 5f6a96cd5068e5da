"""A format that no one needs: a text file with the names of the parameters and what was chosen."""

from pathlib import Path

from llm_studio.export.format import Exported, Format, Option, Options
from llm_studio.jobs import Job
from llm_studio.runs.locate import ModelRef


def sizes(model: ModelRef, options: Options) -> dict[str, int]:
    """Something that depends on an option."""
    return {"names": 1000 if options.get("case") == "upper" else 100}


def write(model: ModelRef, target: Path, options: Options, job: Job) -> Exported:
    """The names, one a line."""
    lines = [model.name, *sorted(f"{name}={value}" for name, value in options.items()), *model.weights()]
    target.write_text("\n".join(lines), encoding="utf-8")
    return Exported(target, target.stat().st_size)


TOY = Format(
    name="toy", title="Toy", action="Export as a toy…", suffix=".txt", note="A note.",
    files={"names": "Names of the parameters"}, sizes=sizes, write=write,
    options=(Option("case", "Case", "Case of the names.", ("lower", "upper")), Option("loud", "Loud", "Louder.")),
)  # fmt: skip
