"""ekle extends Qwen3 with Turkish.

The names below are the library; everything else is internal and may move. They are imported when first
used, because torch takes seconds and most of them need none.

    import ekle

    vocabulary = ekle.learn_vocabulary(texts, "vocabulary", settings=ekle.VocabularySettings(size=5000))
    extended = ekle.extend_model("Qwen/Qwen3-0.6B", vocabulary, "extended")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ekle.artifacts import (
        Checkpoint,
        ExtendedModel,
        NewToken,
        Release,
        Scorecard,
        Stage,
        Vocabulary,
    )
    from ekle.artifacts.evaluation_report import (
        EvaluationReport,
        Figure,
    )
    from ekle.bpe.graft import Merge
    from ekle.counting import Counts
    from ekle.errors import (
        CheckpointError,
        DeviceMemoryError,
        EkleError,
        InputError,
        NotAvailableError,
        PreservationError,
        RecipeError,
        RenamedWarning,
        RunFolderError,
        SpaceError,
        TextError,
        TokenizerError,
        TrainingError,
        VocabularyError,
    )
    from ekle.evaluation.report.compare import ReportComparison
    from ekle.evaluation.tokenizer.compare import (
        ComparedTokenizer,
    )
    from ekle.pipeline.api import (
        compare,
        compare_reports,
        count_text,
        evaluate,
        export,
        extend_model,
        extend_tokenizer,
        learn_vocabulary,
        plan,
        train,
    )
    from ekle.pipeline.given import (
        LoadedModel,
        LoadedTokenizer,
        ModelLike,
        NamedTexts,
        Place,
        Text,
        TokenizerLike,
    )
    from ekle.pipeline.run import run
    from ekle.pipeline.run_folder import RunFolder
    from ekle.planning.plan import Plan
    from ekle.progress import ProgressReporter
    from ekle.recipe import Recipe
    from ekle.recipe.base import BaseModelSettings, TinyModelSettings
    from ekle.recipe.control import ControlSettings
    from ekle.recipe.corpus import CorpusSettings
    from ekle.recipe.evaluation import EvaluationSettings
    from ekle.recipe.extension import (
        DistillationSettings,
        ExtensionSettings,
        FocusSettings,
        HybridSettings,
        MappedSettings,
        SimilaritySettings,
    )
    from ekle.recipe.recipe import load_recipe
    from ekle.recipe.release import ExportFormat, ReleaseSettings
    from ekle.recipe.training import (
        AdamWSettings,
        AlignmentSettings,
        CurriculumSettings,
        DoraSettings,
        GuardSettings,
        MuonSettings,
        NeftuneSettings,
        SophiaSettings,
        TrainingSettings,
    )
    from ekle.recipe.vocabulary import (
        Profile,
        QuotaSettings,
        VocabularySettings,
    )

    __version__: str

__all__ = [
    "AdamWSettings",
    "AlignmentSettings",
    "BaseModelSettings",
    "Checkpoint",
    "CheckpointError",
    "ComparedTokenizer",
    "ControlSettings",
    "CorpusSettings",
    "Counts",
    "CurriculumSettings",
    "DeviceMemoryError",
    "DistillationSettings",
    "DoraSettings",
    "EkleError",
    "EvaluationReport",
    "EvaluationSettings",
    "ExportFormat",
    "ExtendedModel",
    "ExtensionSettings",
    "Figure",
    "FocusSettings",
    "GuardSettings",
    "HybridSettings",
    "InputError",
    "LoadedModel",
    "LoadedTokenizer",
    "MappedSettings",
    "Merge",
    "ModelLike",
    "MuonSettings",
    "NamedTexts",
    "NeftuneSettings",
    "NewToken",
    "NotAvailableError",
    "Place",
    "Plan",
    "PreservationError",
    "Profile",
    "ProgressReporter",
    "QuotaSettings",
    "Recipe",
    "RecipeError",
    "Release",
    "ReleaseSettings",
    "RenamedWarning",
    "ReportComparison",
    "RunFolder",
    "RunFolderError",
    "Scorecard",
    "SimilaritySettings",
    "SophiaSettings",
    "SpaceError",
    "Stage",
    "Text",
    "TextError",
    "TinyModelSettings",
    "TokenizerError",
    "TokenizerLike",
    "TrainingError",
    "TrainingSettings",
    "Vocabulary",
    "VocabularyError",
    "VocabularySettings",
    "__version__",
    "compare",
    "compare_reports",
    "count_text",
    "evaluate",
    "export",
    "extend_model",
    "extend_tokenizer",
    "learn_vocabulary",
    "load_recipe",
    "plan",
    "run",
    "train",
]

_NAMES = {
    "ekle.artifacts": (
        "Checkpoint",
        "ExtendedModel",
        "NewToken",
        "Release",
        "Scorecard",
        "Stage",
        "Vocabulary",
    ),
    "ekle.artifacts.evaluation_report": (
        "EvaluationReport",
        "Figure",
    ),
    "ekle.bpe.graft": ("Merge",),
    "ekle.counting": ("Counts",),
    "ekle.errors": (
        "CheckpointError",
        "DeviceMemoryError",
        "EkleError",
        "InputError",
        "NotAvailableError",
        "PreservationError",
        "RecipeError",
        "RenamedWarning",
        "RunFolderError",
        "SpaceError",
        "TextError",
        "TokenizerError",
        "TrainingError",
        "VocabularyError",
    ),
    "ekle.evaluation.report.compare": ("ReportComparison",),
    "ekle.evaluation.tokenizer.compare": ("ComparedTokenizer",),
    "ekle.pipeline.given": (
        "LoadedModel",
        "LoadedTokenizer",
        "ModelLike",
        "NamedTexts",
        "Place",
        "Text",
        "TokenizerLike",
    ),
    "ekle.pipeline.run": ("run",),
    "ekle.pipeline.run_folder": ("RunFolder",),
    "ekle.planning.plan": ("Plan",),
    "ekle.progress": ("ProgressReporter",),
    "ekle.recipe.base": ("BaseModelSettings", "TinyModelSettings"),
    "ekle.recipe.control": ("ControlSettings",),
    "ekle.recipe.corpus": ("CorpusSettings",),
    "ekle.recipe.evaluation": ("EvaluationSettings",),
    "ekle.recipe.extension": (
        "DistillationSettings",
        "ExtensionSettings",
        "FocusSettings",
        "HybridSettings",
        "MappedSettings",
        "SimilaritySettings",
    ),
    "ekle.recipe.recipe": ("Recipe", "load_recipe"),
    "ekle.recipe.release": ("ExportFormat", "ReleaseSettings"),
    "ekle.recipe.training": (
        "AdamWSettings",
        "AlignmentSettings",
        "CurriculumSettings",
        "DoraSettings",
        "GuardSettings",
        "MuonSettings",
        "NeftuneSettings",
        "SophiaSettings",
        "TrainingSettings",
    ),
    "ekle.recipe.vocabulary": (
        "Profile",
        "QuotaSettings",
        "VocabularySettings",
    ),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'ekle' has no attribute {name!r}")
    if name == "__version__":
        from importlib.metadata import version

        return version("ekle")
    return getattr(import_module(_HOME.get(name, "ekle.pipeline.api")), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
