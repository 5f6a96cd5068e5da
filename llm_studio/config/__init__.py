"""The settings of a project: declared in `sections.py`, checked as a whole in `settings.py`, YAML in `yaml_file.py`."""

from llm_studio.config.sections import (
    LANGUAGES,
    LARGEST_VOCABULARY,
    SMALLEST_VOCABULARY,
    SPECIAL_TOKENS,
    DataSettings,
    GenerationSettings,
    ModelSettings,
    ProjectSettings,
    Section,
    TokenizerSettings,
    TrainingSettings,
)
from llm_studio.config.settings import MAPPINGS, SECTIONS, Settings, problem_sentence, problems, split_path

__all__ = [
    "LANGUAGES",
    "LARGEST_VOCABULARY",
    "MAPPINGS",
    "SECTIONS",
    "SMALLEST_VOCABULARY",
    "SPECIAL_TOKENS",
    "DataSettings",
    "GenerationSettings",
    "ModelSettings",
    "ProjectSettings",
    "Section",
    "Settings",
    "TokenizerSettings",
    "TrainingSettings",
    "problem_sentence",
    "problems",
    "split_path",
]
