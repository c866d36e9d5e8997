"""The manifest of a finished stage: what it was made from, with what, and what came out.

A stage that resumes inside itself also leaves `begun.json`, of the same shape and without outputs,
while it is under way: an interrupted training must not go on with other settings.
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

from ekle.artifacts import Stage
from ekle.errors import RunFolderError, TextError
from ekle.files import digest, read_json, write_json
from ekle.pipeline.stages import SETTINGS
from ekle.progress import ProgressReporter
from ekle.recipe import Recipe
from ekle.recipe.recipe import default_settings, recorded_settings
from ekle.recipe.section import dotted
from ekle.text.documents import local_files

FILE = "manifest.json"
_BEGUN = "begun.json"
# What a stage keeps to resume from after an interruption, or to show while it runs; no other
# stage reads it, and it may be removed.
_SCRATCH = ("aligned", "checkpoints", "curriculum", "parts", "tensorboard")
_LIBRARIES = ("ekle", "torch", "transformers", "tokenizers")
_ABSENT = object()


@dataclass(frozen=True)
class Manifest:
    """Written last, by an atomic rename: where it exists, the stage is complete."""

    stage: str
    settings: dict[str, Any]
    """Dotted key of the recipe to its value, for everything the stage reads."""
    inputs: dict[str, str]
    """A recipe key and the file it names, or the folder of an earlier stage, to a SHA-256."""
    outputs: dict[str, dict[str, Any]]
    """Each file below the stage's folder to its `bytes` and `sha256`."""
    versions: dict[str, str]
    seconds: float
    finished: str

    @property
    def fingerprint(self) -> str:
        """One SHA-256 for everything the stage made, whatever the time it took."""
        lines = (f"{name} {file['sha256']}\n" for name, file in sorted(self.outputs.items()))
        return sha256("".join(lines).encode()).hexdigest()

    @property
    def bytes(self) -> int:
        """Size of the outputs together."""
        return sum(int(file["bytes"]) for file in self.outputs.values())

    def differences(self, settings: dict[str, Any], inputs: dict[str, str]) -> list[str]:
        """What has changed since: every key with its old and new value, every input with new content.

        A setting that an older ekle did not have is one that had its default.
        """
        defaults = default_settings()
        before = {key: defaults[key] for key in settings if key in defaults} | self.settings
        changed = [
            f"{key} {_shown(before, key)} -> {_shown(settings, key)}"
            for key in sorted({*before, *settings})
            if before.get(key, _ABSENT) != settings.get(key, _ABSENT)
        ]
        # A file that appears or goes is a changed setting already, unless its name stayed the same.
        common = self.inputs.keys() & inputs.keys()
        changed += [
            f"{name} has other content" for name in sorted(common) if self.inputs[name] != inputs[name]
        ]
        if not changed:
            changed = [f"{name} was not there before" for name in sorted(inputs.keys() - self.inputs.keys())]
            changed += [f"{name} is gone" for name in sorted(self.inputs.keys() - inputs.keys())]
        return changed

    def damage(self, folder: Path) -> list[str]:
        """Outputs that are missing from `folder` or have another size."""
        return [
            name
            for name, file in sorted(self.outputs.items())
            if not (folder / name).is_file() or (folder / name).stat().st_size != file["bytes"]
        ]


def write_manifest(
    folder: Path, stage: str, settings: dict[str, Any], inputs: dict[str, str], seconds: float
) -> Manifest:
    """Digest the files in `folder` and declare the stage complete."""
    outputs = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": digest(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in (FILE, _BEGUN, *_SCRATCH)
    }
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = Manifest(stage, settings, inputs, outputs, _versions(), round(seconds, 3), finished)
    write_json(folder / FILE, asdict(manifest))
    (folder / _BEGUN).unlink(missing_ok=True)
    return manifest


def write_begun(folder: Path, stage: str, settings: dict[str, Any], inputs: dict[str, str]) -> None:
    """Note what a stage that resumes inside itself is being made from."""
    write_json(folder / _BEGUN, asdict(Manifest(stage, settings, inputs, {}, _versions(), 0.0, "")))


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in `folder`; None where the stage is not complete.

    Raises:
        InputError: the file is there but is not JSON.
        RunFolderError: it is JSON of another shape.
    """
    return _read(folder / FILE)


def read_begun(folder: Path) -> Manifest | None:
    """What an interrupted stage was being made from; None where none was. Raises as `read_manifest`."""
    return _read(folder / _BEGUN)


def _read(path: Path) -> Manifest | None:
    if not path.exists():
        return None
    content = read_json(path)
    try:
        manifest = Manifest(**content)
    except TypeError as error:
        raise RunFolderError(
            f"{path} was not written by this version of ekle; remove {path.parent} to make it again"
        ) from error
    return replace(manifest, settings=recorded_settings(manifest.settings, path.parent.parent))


def _versions() -> dict[str, str]:
    return {"python": python_version(), **{name: version(name) for name in _LIBRARIES}}


def flat_settings(recipe: Recipe, keys: tuple[str, ...], leave_out: Collection[str] = ()) -> dict[str, Any]:
    """The values below `keys`, which name sections or single settings, under their dotted names."""
    flat = dict(dotted(recipe.model_dump(mode="json")))
    return {
        name: value
        for name, value in flat.items()
        if name not in leave_out and any(name == key or name.startswith(f"{key}.") for key in keys)
    }


def _shown(settings: dict[str, Any], key: str) -> str:
    return repr(settings[key]) if key in settings else "(absent)"


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
            for path in local_files([source]):
                # `bundled:tr` must not depend on where ekle is installed, nor a folder on where it is.
                files[f"{key}: {_name_in(source, path)}"] = path
    tokenizer = Path(str(settings.get("base.tokenizer", "")))
    if "base.tokenizer" in settings and tokenizer.is_dir():
        files |= _named("base.tokenizer", [tokenizer / name for name in _TOKENIZER])
    model = Path(str(settings.get("base.model", "")))
    if "base.model" in settings and model.is_dir():
        files |= _named("base.model", [model / "config.json", *sorted(model.glob(_WEIGHTS))])
    return files


def _name_in(source: str, path: Path) -> str:
    """`path` as seen from the source that has it."""
    if Path(source) == path:
        return source
    inside = path.relative_to(source).as_posix() if path.is_relative_to(source) else path.name
    return f"{source}/{inside}"


class Digests:
    """SHA-256 of files, each read once."""

    def __init__(self, reporter: ProgressReporter) -> None:
        self._known: dict[Path, str] = {}
        self._reporter = reporter

    def of(self, files: dict[str, Path]) -> dict[str, str]:
        """The digests of `files` under the same names.

        Raises:
            TextError: a file cannot be read.
        """
        new = {path: path.stat().st_size for path in files.values() if path not in self._known}
        if new:
            with self._reporter.task("checking the input", sum(new.values()), "bytes") as task:
                for path, size in new.items():
                    try:
                        self._known[path] = digest(path)
                    except OSError as error:
                        raise TextError(f"{path} cannot be read: {error.strerror}") from error
                    task.advance(size)
        return {name: self._known[path] for name, path in files.items()}


def _named(key: str, paths: list[Path]) -> dict[str, Path]:
    return {f"{key}: {path}": path for path in paths if path.is_file()}
