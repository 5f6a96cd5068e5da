"""Taking a trained model out of its project. The formats are in `export/`."""

from llm_studio.export.archive import OPTIMIZER, Exported, Saved, checkpoints, export_zip

__all__ = ["OPTIMIZER", "Exported", "Saved", "checkpoints", "export_zip"]
