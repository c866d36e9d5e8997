"""Each stage by itself, outside a run folder: what the library offers and what the commands call.

Everything that is written appears whole or not at all, in a folder that must be new or empty.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ekle.artifacts import Checkpoint, ExtendedModel, Scorecard, Vocabulary
from ekle.bpe.base import load_base, save_tokenizer
from ekle.bpe.graft import Merge, graft
from ekle.counting import Counts
from ekle.errors import InputError, TextError
from ekle.files import atomic_folder
from ekle.pipeline.lookup import find_model, held_out_of, models_of, run_report, training_texts_of
from ekle.pipeline.run import run
from ekle.progress import ProgressReporter, silent
from ekle.recipe import Recipe
from ekle.recipe.corpus import CorpusSettings
from ekle.recipe.evaluation import EvaluationSettings
from ekle.recipe.extension import ExtensionSettings
from ekle.recipe.release import ReleaseSettings
from ekle.recipe.vocabulary import Profile, VocabularySettings
from ekle.text.documents import check_sources, documents


def learn_vocabulary(
    sources: Sequence[str],
    out: Path,
    *,
    base: str = "qwen3",
    settings: VocabularySettings | None = None,
    corpus: CorpusSettings | None = None,
    counts: Sequence[Path] = (),
    reporter: ProgressReporter | None = None,
) -> Vocabulary:
    """Learn new tokens from text and write the vocabulary folder `out`.

    Args:
        sources: files, folders, `hf:NAME[:CONFIG]`, or `bundled:tr`; none where `counts` hold it all.
        out: gets tokenizer/ (which `AutoTokenizer` loads), tokens.jsonl and report.json.
        base: "qwen3", a folder with tokenizer.json, or a hub id.
        settings: size, profile and strategy; 20,000 portable tokens by default.
        corpus: how the text is read and held out; its `sources` are replaced by `sources`.
        counts: files of counts to add, as `count_text` writes them.
        reporter: hears of the progress.

    Raises:
        TextError, TokenizerError: text or tokenizer cannot be read.
        VocabularyError: the text does not support so many tokens.
        RunFolderError: `out` holds something.
    """
    from ekle.pipeline.vocabulary import learn_from_text

    reading = (corpus or CorpusSettings()).model_copy(update={"sources": list(sources)})
    return learn_from_text(
        reading, base, settings or VocabularySettings(), Path(out), reporter or silent(), counts
    )


def count_text(
    sources: Sequence[str],
    out: Path,
    *,
    base: str = "qwen3",
    profile: Profile = "portable",
    corpus: CorpusSettings | None = None,
    ray: bool = False,
    reporter: ProgressReporter | None = None,
) -> Counts:
    """Count text and write the counts file `out`; word lists are left to whoever learns from it.

    Args:
        sources: files, folders, `hf:NAME[:CONFIG]`, or `bundled:tr`.
        out: a Parquet file; one that is there is replaced.
        base: "qwen3", a folder with tokenizer.json, or a hub id.
        profile: the profile that will learn from them.
        corpus: how the text is read; its `sources` are replaced by `sources`.
        ray: count the files, which must be local to all workers, as tasks of Ray Data; repeated lines are
            not capped then.
        reporter: hears of the progress.

    Raises:
        TextError, TokenizerError: text or tokenizer cannot be read.
        InputError: Ray is asked for and not installed.
    """
    from ekle.corpus.count import count_sources
    from ekle.counting.on_ray import count_on_ray

    check_sources(sources)
    reading = (corpus or CorpusSettings()).model_copy(update={"sources": list(sources), "word_lists": []})
    pre_tokenization = VocabularySettings(profile=profile).pre_tokenization
    if ray:
        if reading.max_bytes is not None:
            raise InputError("corpus.max_bytes does not go with --ray, which reads every file to its end")
        counts = count_on_ray(sources, base, pre_tokenization=pre_tokenization, text_field=reading.text_field)
    else:
        found = count_sources(
            reading,
            load_base(base),
            reporter or silent(),
            pre_tokenization=pre_tokenization,
            any_language=True,
        )
        counts = found.counts
    if not counts.words:
        raise TextError(f"{', '.join(sources)} hold no text to count")
    counts.save(out)
    return counts


def extend_tokenizer(base: str, merges: Iterable[Merge], out: Path) -> Path:
    """Add merges, and with them tokens, to a base tokenizer; no id of the base moves.

    Args:
        base: "qwen3", a folder with tokenizer.json, or a hub id.
        merges: pieces to join, in the order in which they apply.
        out: gets tokenizer.json and what belongs to it.

    Raises:
        TokenizerError: the base is not byte-level BPE, or a merge uses a piece that does not exist.
        RunFolderError: `out` holds something.
    """
    tokenizer = load_base(base)
    spec, config = graft(tokenizer, list(merges))
    with atomic_folder(Path(out)) as folder:
        save_tokenizer(folder, spec, config, tokenizer.chat_template)
    return Path(out)


def extend_model(
    vocabulary: Path,
    base: str | Path,
    out: Path,
    *,
    settings: ExtensionSettings | None = None,
    corpus: Sequence[str] = (),
    replay: Sequence[str] = (),
    reporter: ProgressReporter | None = None,
) -> ExtendedModel:
    """Give a model rows for the tokens of a vocabulary; everything else stays byte-equal.

    Args:
        vocabulary: a folder that `learn_vocabulary` wrote.
        base: a model folder or a hub id.
        out: gets model/ (which `AutoModelForCausalLM` loads) and extension.json.
        settings: how the new rows start.
        corpus: text in the language to learn, as `learn_vocabulary` takes it; some rules need it.
        replay: text in other languages, likewise; `distilled` reads some of it, too.
        reporter: hears of the progress.

    Raises:
        InputError: the rule for the new rows needs text.
        TextError: the text cannot be read.
        CheckpointError: the base cannot be read, or does not fit the vocabulary.
        PreservationError: something that must not change did change.
        RunFolderError: `out` holds something.
    """
    from ekle.base.stage import resolve_model
    from ekle.extension.extend import extend_model as extend

    check_sources([*corpus, *replay])
    model = resolve_model(str(base))
    text = (lambda: (document.text for document in documents(corpus))) if corpus else None
    other = (lambda: (document.text for document in documents(replay))) if replay else None
    return extend(
        Path(vocabulary),
        model,
        Path(out),
        settings or ExtensionSettings(),
        reporter or silent(),
        text,
        str(base),
        other,
    )


def train(recipe: Recipe, folder: Path | None = None, reporter: ProgressReporter | None = None) -> Checkpoint:
    """Run `recipe` up to and including the training; finished stages are kept. See `run`."""
    return Checkpoint(run(recipe, folder, reporter, until="training").place("training"))


def evaluate(
    model: Path,
    against: str | Path,
    texts: Mapping[str, Path] | None,
    out: Path,
    *,
    other: Mapping[str, Path] | None = None,
    peers: Mapping[str, Path | str] | None = None,
    learned_from: Sequence[Path] = (),
    settings: EvaluationSettings | None = None,
    reporter: ProgressReporter | None = None,
) -> Scorecard:
    """Measure a model, or a tokenizer alone, against the base it was made from.

    Args:
        model: a model, tokenizer, vocabulary or run folder; of a run, both the extended and the trained.
        against: the base, likewise, or "qwen3" for Qwen's tokenizer.
        texts: name to file or folder in the language that was learned; None means what the run
            `model` held out.
        out: gets report.json and report.html.
        other: name to file or folder in other languages, or code, whose cut should not change.
        peers: name to further models or tokenizers, which are measured likewise.
        learned_from: text that vocabulary or training has seen, beside what the run `model` learned from;
            what of `texts` stands in it is counted.
        settings: limits and prompts.
        reporter: hears of the progress.

    Raises:
        InputError: a folder is absent, no text is named, or a name in `peers` is taken.
        TextError, TokenizerError, CheckpointError: what is there cannot be read.
        RunFolderError: `out` holds something else.
    """
    from ekle.evaluation.run import evaluate_folder

    extended, trained = models_of(Path(model))
    return evaluate_folder(
        extended,
        _resolved(against),
        held_out_of(Path(model)) if texts is None else texts,
        settings or EvaluationSettings(),
        Path(out),
        reporter or silent(),
        other,
        trained=trained,
        peers={name: _resolved(place) for name, place in (peers or {}).items()},
        learned_from=[*training_texts_of(Path(model)), *learned_from],
        known=run_report(Path(model)),
    )


def compare(
    tokenizers: Mapping[str, str | Path], texts: Mapping[str, Path], *, changes: bool = False
) -> list[dict[str, Any]]:
    """Tokenizers side by side; the first is what the others are held against.

    Args:
        tokenizers: name to print, to "qwen3", a folder (of a run, too), a tokenizer.json or a hub id.
        texts: name to print, to a file or folder.
        changes: whether to list everything that each cuts differently from the first.

    Returns:
        What `ekle.evaluation.tokenizer.compare.compare_tokenizers` returns.

    Raises:
        TextError, TokenizerError: a text or a tokenizer cannot be read.
    """
    from ekle.evaluation.tokenizer.compare import compare_tokenizers

    found = {name: _resolved(where) for name, where in tokenizers.items()}
    return compare_tokenizers(found, texts, changes=changes)


def _resolved(where: str | Path) -> str | Path:
    """The model or tokenizer in a folder; a name that is no folder means itself."""
    return find_model(Path(where)) if Path(where).is_dir() else where


def export(
    model: Path,
    out: Path,
    *,
    settings: ReleaseSettings | None = None,
    reporter: ProgressReporter | None = None,
) -> Path:
    """Write a model as a Hugging Face folder: merged safetensors, tokenizer, model card.

    Args:
        model: a run folder, an extended model or a release.
        out: the new folder.
        settings: precision and shard size.
        reporter: hears of the progress.

    Raises:
        InputError: `model` is none of these.
        CheckpointError: the weights cannot be read.
        RunFolderError: `out` holds something.
    """
    from ekle.release.export import export_hf

    return export_hf(Path(model), Path(out), settings or ReleaseSettings(), reporter or silent())
