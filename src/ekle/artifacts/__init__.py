"""What the stages hand on: folders with known content, and the types that read them."""

from ekle.artifacts.folders import (
    ORDER,
    WITHOUT_CONTROL,
    BaseModel,
    Checkpoint,
    Corpus,
    ExtendedModel,
    NewToken,
    Release,
    Scorecard,
    Stage,
    Vocabulary,
    folder_name,
    read_documents,
)

__all__ = [
    "ORDER",
    "WITHOUT_CONTROL",
    "BaseModel",
    "Checkpoint",
    "Corpus",
    "ExtendedModel",
    "NewToken",
    "Release",
    "Scorecard",
    "Stage",
    "Vocabulary",
    "folder_name",
    "read_documents",
]
