"""The files a recipe names, and what is in them: a stage made from other content is out of date."""

from pathlib import Path

from ekle.errors import TextError
from ekle.files import digest
from ekle.pipeline.manifest import flat_settings
from ekle.pipeline.stages import SETTINGS, Stage
from ekle.progress import Report
from ekle.recipe import Recipe
from ekle.text.read import files_of

_TEXTS: dict[Stage, tuple[str, ...]] = {
    "corpus": (
        "corpus.sources",
        "corpus.replay",
        "corpus.instructions",
        "corpus.held_out_files",
        "corpus.other_files",
    ),
    "vocabulary": ("vocabulary.protect", "vocabulary.keep", "vocabulary.gold"),
    "evaluation": (
        "evaluation.gold",
        "evaluation.parallel",
        "evaluation.tasks",
        "evaluation.english_tasks",
    ),
}
"""The settings of each stage that name text: a list of it, or a table with a name for each file."""

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "config.json")
_WEIGHTS = "*.safetensors"


def input_files(stage: Stage, recipe: Recipe) -> dict[str, Path]:
    """Every local file the stage reads from outside the run folder, under the setting that names it.

    Raises:
        TextError: a text source is absent or holds no text file.
    """
    settings = flat_settings(recipe, SETTINGS[stage])
    files: dict[str, Path] = {}
    for key in _TEXTS.get(stage, ()):
        named = [value for name, value in settings.items() if name.startswith(f"{key}.")]
        for source in settings.get(key, named):
            for path in files_of([source]):
                # `bundled:tr` must not depend on where ekle is installed, nor a folder on where it lies.
                name = source if Path(source) == path else f"{source}/{path.name}"
                files[f"{key}: {name}"] = path
    tokenizer = Path(str(settings.get("base.tokenizer", "")))
    if "base.tokenizer" in settings and tokenizer.is_dir():
        files |= _named("base.tokenizer", [tokenizer / name for name in _TOKENIZER])
    model = Path(str(settings.get("base.model", "")))
    if "base.model" in settings and model.is_dir():
        files |= _named("base.model", [model / "config.json", *sorted(model.glob(_WEIGHTS))])
    return files


class Digests:
    """SHA-256 of files, each read once."""

    def __init__(self, report: Report) -> None:
        self._known: dict[Path, str] = {}
        self._report = report

    def of(self, files: dict[str, Path]) -> dict[str, str]:
        """The digests of `files` under the same names.

        Raises:
            TextError: a file cannot be read.
        """
        new = {path: path.stat().st_size for path in files.values() if path not in self._known}
        if new:
            with self._report.task("checking the input", sum(new.values()), "bytes") as task:
                for path, size in new.items():
                    try:
                        self._known[path] = digest(path)
                    except OSError as error:
                        raise TextError(f"{path} cannot be read: {error.strerror}") from error
                    task.advance(size)
        return {name: self._known[path] for name, path in files.items()}


def _named(key: str, paths: list[Path]) -> dict[str, Path]:
    return {f"{key}: {path}": path for path in paths if path.is_file()}
