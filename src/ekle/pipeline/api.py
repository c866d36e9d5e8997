"""The library: each stage by itself, outside a run folder. The commands call the same functions.

Functions take objects where people have objects (a loaded tokenizer or model, a list of strings), and paths
or hub ids otherwise; `ekle.pipeline.given` says what each kind may be. What is written appears whole or not
at all, in a folder that must be new or empty.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from tokenizers import Tokenizer

from ekle.artifacts import Checkpoint, ExtendedModel, Scorecard, Vocabulary
from ekle.artifacts.evaluation_report import EvaluationReport
from ekle.bpe.base import save_tokenizer
from ekle.bpe.graft import Merge, graft
from ekle.counting import Counts
from ekle.errors import InputError, TextError
from ekle.files import atomic_folder
from ekle.pipeline.given import (
    Given,
    LoadedModel,
    LoadedTokenizer,
    ModelLike,
    NamedTexts,
    Place,
    Text,
    TokenizerLike,
    folder_of,
)
from ekle.pipeline.lookup import (
    control_of,
    find_model,
    find_report,
    held_out_of,
    models_of,
    recorded_base_model,
    reported_by,
    training_texts_of,
)
from ekle.pipeline.run import run, train_only
from ekle.planning.plan import Plan, make_plan
from ekle.progress import ProgressReporter, silent
from ekle.recipe import Recipe
from ekle.recipe.corpus import CorpusSettings
from ekle.recipe.evaluation import EvaluationSettings
from ekle.recipe.extension import ExtensionSettings
from ekle.recipe.recipe import load_recipe
from ekle.recipe.release import ExportFormat, ReleaseSettings
from ekle.recipe.vocabulary import Profile, VocabularySettings
from ekle.text.documents import TextReader, check_sources

if TYPE_CHECKING:
    from ekle.evaluation.report.compare import ReportComparison
    from ekle.evaluation.tokenizer.compare import ComparedTokenizer

__all__ = [
    "compare",
    "compare_reports",
    "count_text",
    "evaluate",
    "export",
    "extend_model",
    "extend_tokenizer",
    "learn_vocabulary",
    "plan",
    "run",
    "train",
]


def learn_vocabulary(
    corpus: Text,
    out: str | Path,
    *,
    base: TokenizerLike = "qwen3",
    settings: VocabularySettings | None = None,
    held_out: NamedTexts | None = None,
    other: NamedTexts | None = None,
    counts: Sequence[Path] = (),
    corpus_settings: CorpusSettings | None = None,
    reporter: ProgressReporter | None = None,
) -> Vocabulary:
    """Learn new tokens from text and write the vocabulary folder `out`.

    Args:
        corpus: text in the language to learn; may be empty where `counts` has it all.
        out: gets tokenizer/ (which `AutoTokenizer` loads), tokens.jsonl and report.json.
        base: the tokenizer to extend.
        settings: size, profile and strategy; 20,000 portable tokens by default.
        held_out: text in the same language, on which the saving is reported; None takes the files that
            `corpus_settings` names.
        other: text in other languages, or code, for which the report says what changes; likewise.
        counts: files of counts to add, as `count_text` writes them.
        corpus_settings: how text is read, and word lists; its `sources` are replaced by `corpus`.
        reporter: receives progress.

    Raises:
        TextError, TokenizerError: text or tokenizer cannot be read.
        VocabularyError: the text does not support so many tokens.
        RunFolderError: `out` holds something.
    """
    from ekle.pipeline.vocabulary import learn_from_text

    read_as = corpus_settings or CorpusSettings()
    with Given(Path(out), read_as.text_field) as given:
        reading = read_as.model_copy(update={"sources": given.sources(corpus, "corpus")})
        return learn_from_text(
            reading,
            str(base) if isinstance(base, str | Path) else given.tokenizer(base),
            settings or VocabularySettings(),
            Path(out),
            reporter or silent(),
            counts,
            held_out=given.named(held_out, "held-out") if held_out is not None else None,
            other=given.named(other, "other") if other is not None else None,
        )


def count_text(
    corpus: Text,
    out: str | Path,
    *,
    base: TokenizerLike = "qwen3",
    profile: Profile = "portable",
    contractions: bool = False,
    corpus_settings: CorpusSettings | None = None,
    ray: bool = False,
    reporter: ProgressReporter | None = None,
) -> Counts:
    """Count text and write the counts file `out`, without word lists: `learn_vocabulary` adds those.

    Args:
        corpus: text in the language to learn.
        out: a Parquet file; one that is there is replaced.
        base: the tokenizer to extend.
        profile: the profile that will learn from them.
        contractions: its `VocabularySettings.contractions`.
        corpus_settings: how text is read; its `sources` are replaced by `corpus`.
        ray: count the files, which must be local to all workers, as tasks of Ray Data; repeated lines are
            not capped then.
        reporter: receives progress.

    Raises:
        TextError, TokenizerError: text or tokenizer cannot be read.
        InputError: Ray is asked for and not installed.
    """
    from ekle.corpus.count import count_sources
    from ekle.counting.on_ray import count_on_ray

    read_as = corpus_settings or CorpusSettings()
    with Given(Path(out), read_as.text_field) as given:
        sources = given.sources(corpus, "corpus")
        check_sources(sources)
        reading = read_as.model_copy(update={"sources": sources, "word_lists": []})
        kind = VocabularySettings(profile=profile, contractions=contractions).pre_tokenization
        if ray:
            if reading.max_bytes is not None:
                raise InputError("corpus.max_bytes does not go with --ray, which reads every file to its end")
            if not isinstance(base, str | Path):
                raise InputError("--ray opens the tokenizer in every worker; give a folder or a hub id")
            counts = count_on_ray(
                sources,
                str(base),
                (reporter or silent()).say,
                pre_tokenization=kind,
                text_field=reading.text_field,
                keep_misdecoded=reading.keep_misdecoded,
            )
        else:
            found = count_sources(
                reading,
                given.tokenizer(base),
                reporter or silent(),
                pre_tokenization=kind,
                any_language=True,
            )
            counts = found.counts
        if not counts.words:
            raise TextError(f"{', '.join(sources) or 'the list'} holds no text to count")
    counts.save(Path(out))
    return counts


@overload
def extend_tokenizer(tokenizer: TokenizerLike, merges: Iterable[Merge], out: str | Path) -> Path: ...
@overload
def extend_tokenizer(tokenizer: TokenizerLike, merges: Iterable[Merge], out: None = None) -> Any: ...
def extend_tokenizer(tokenizer: TokenizerLike, merges: Iterable[Merge], out: str | Path | None = None) -> Any:
    """Add merges, and with them tokens, to a base tokenizer; no id of the base moves.

    Args:
        tokenizer: the base.
        merges: tokens to join, in the order in which they apply.
        out: gets tokenizer.json and its companions.

    Returns:
        `out`, or without it a `PreTrainedTokenizerFast`.

    Raises:
        TokenizerError: the base is not byte-level BPE, or a merge uses a token that does not exist.
        RunFolderError: `out` holds something.
    """
    with Given(Path(out) if out is not None else None) as given:
        base = given.tokenizer(tokenizer)
        spec, config = graft(base, list(merges))
        if out is not None:
            with atomic_folder(Path(out)) as folder:
                save_tokenizer(folder, spec, config, base.chat_template)
            return Path(out)
        from ekle.model.checkpoint.loading import load_tokenizer

        folder = given.new_folder("extended-tokenizer")
        save_tokenizer(folder, spec, config, base.chat_template)
        return load_tokenizer(folder)


@overload
def extend_model(
    model: ModelLike,
    vocabulary: Place,
    out: str | Path,
    *,
    settings: ExtensionSettings | None = None,
    corpus: Text = (),
    replay: Text = (),
    corpus_settings: CorpusSettings | None = None,
    reporter: ProgressReporter | None = None,
) -> ExtendedModel: ...
@overload
def extend_model(
    model: ModelLike,
    vocabulary: Place,
    out: None = None,
    *,
    settings: ExtensionSettings | None = None,
    corpus: Text = (),
    replay: Text = (),
    corpus_settings: CorpusSettings | None = None,
    reporter: ProgressReporter | None = None,
) -> Any: ...
def extend_model(
    model: ModelLike,
    vocabulary: Place,
    out: str | Path | None = None,
    *,
    settings: ExtensionSettings | None = None,
    corpus: Text = (),
    replay: Text = (),
    corpus_settings: CorpusSettings | None = None,
    reporter: ProgressReporter | None = None,
) -> Any:
    """Give a model embedding rows for the tokens of a vocabulary; everything else stays byte-equal.

    Args:
        model: the base.
        vocabulary: what `learn_vocabulary` wrote or returned.
        out: gets model/ (which `AutoModelForCausalLM` loads) and extension.json.
        settings: how the new rows start.
        corpus: text in the language to learn; some rules need it, the default among them.
        replay: text in other languages; `mapped` and `distilled` read some of it, too.
        corpus_settings: how text is read: its `text_field` and `keep_misdecoded` are used.
        reporter: receives progress.

    Returns:
        The folder as an `ExtendedModel`, or without `out` a `PreTrainedModel`, in the precision of the base.

    Raises:
        InputError: the rule for the new rows needs text.
        TextError: the text cannot be read.
        CheckpointError: the base cannot be read, or does not fit the vocabulary.
        PreservationError: something that must not change did change.
        RunFolderError: `out` holds something.
    """
    from ekle.base.stage import resolve_model
    from ekle.extension.extend import extend_model as extend
    from ekle.extension.text import check_text_given

    settings = settings or ExtensionSettings()
    reader = _reader(corpus_settings, reporter)
    with Given(Path(out) if out is not None else None, reader.text_field) as given:
        learn, replayed = given.sources(corpus, "corpus"), given.sources(replay, "replay")
        check_sources([*learn, *replayed])
        check_text_given(settings, bool(learn))  # before a model is fetched
        if isinstance(model, str | Path):
            base, name = resolve_model(str(model)), str(model)
        else:
            base = given.model_folder(model)
            name = str(getattr(model, "name_or_path", "") or base)
        extended = extend(
            folder_of(vocabulary),
            base,
            Path(out) if out is not None else given.new_folder("extended-model"),
            settings,
            reporter or silent(),
            (lambda: (document.text for document in reader.documents(learn, turkish=True)))
            if learn
            else None,
            name,
            (lambda: (document.text for document in reader.documents(replayed))) if replayed else None,
        )
        if out is not None:
            return extended
        from ekle.model.checkpoint.loading import load_model
        from ekle.model.checkpoint.weights import INPUT_EMBEDDINGS, open_weights

        with open_weights(extended.model) as weights:
            dtype = weights.dtype(INPUT_EMBEDDINGS)
        return load_model(extended.model, dtype)


def train(
    recipe: Recipe | str | Path,
    folder: str | Path | None = None,
    reporter: ProgressReporter | None = None,
    *,
    redo: bool = False,
) -> Checkpoint:
    """Train the extended model of a run; the stages before it must be there.

    `run(recipe, until="training")` makes them, too.

    Args:
        recipe: the settings, or the name or file of a recipe.
        folder: the run; `runs/<name>` by default.
        reporter: receives progress.
        redo: train again from the start.

    Raises:
        RunFolderError: a stage before the training is missing, or was made from other settings or input.
        TrainingError: it cannot start or go on.
    """
    return Checkpoint(train_only(recipe, folder, reporter, redo=redo).place("training"))


def evaluate(
    model: Place | TokenizerLike,
    out: str | Path,
    *,
    against: Place | TokenizerLike | None = None,
    held_out: NamedTexts | None = None,
    other: NamedTexts | None = None,
    peers: Mapping[str, Place | TokenizerLike] | None = None,
    corpus: Text = (),
    settings: EvaluationSettings | None = None,
    corpus_settings: CorpusSettings | None = None,
    reporter: ProgressReporter | None = None,
) -> Scorecard:
    """Measure a model, or a tokenizer alone, against the base it was made from.

    Args:
        model: a model, tokenizer, vocabulary or run folder; of a run, both the extended and the trained, and
            a control where there is one.
        out: gets report.json and report.html.
        against: the base, likewise, or "qwen3" for Qwen's tokenizer; None means what `model` was made from.
        held_out: text in the language that was learned; None means what the run `model` held out.
        other: text in other languages, or code, whose tokenization should not change.
        peers: by name, other models or tokenizers, which are measured likewise.
        corpus: text that vocabulary or training has seen, besides that of the run `model`; the report counts
            what of `held_out` occurs in it.
        settings: limits and prompts.
        corpus_settings: how text is read: its `text_field` and `keep_misdecoded` are used.
        reporter: receives progress.

    Raises:
        InputError: a folder is absent, no text is named, a name in `peers` is taken, or `model` does not say
            what it was made from.
        TextError, TokenizerError, CheckpointError: what is there cannot be read.
        RunFolderError: `out` holds something else.
    """
    from ekle.evaluation.run import evaluate_folder

    reader = _reader(corpus_settings, reporter)
    with Given(Path(out), reader.text_field) as given:
        place = Path(_place(model, given))
        extended, trained = models_of(place)
        texts = held_out_of(place) if held_out is None else given.named(held_out, "held-out")
        learned_from = training_texts_of(place)
        return evaluate_folder(
            extended,
            recorded_base_model(place) if against is None else _resolved(_place(against, given)),
            texts,
            settings or EvaluationSettings(),
            Path(out),
            reporter or silent(),
            given.named(other, "other"),
            trained=trained,
            control=control_of(place) if against is None else None,
            peers={name: _resolved(_place(peer, given)) for name, peer in (peers or {}).items()},
            learned_from=[*learned_from, *map(Path, given.sources(corpus, "corpus"))],
            earlier=reported_by(place),
            reader=reader,
            own=[*learned_from, *(texts.values() if held_out is None else ())],
        )


def compare(
    tokenizers: Mapping[str, Place | TokenizerLike],
    text: NamedTexts,
    *,
    changes: bool = False,
    corpus_settings: CorpusSettings | None = None,
    reporter: ProgressReporter | None = None,
) -> "list[ComparedTokenizer]":
    """Compare tokenizers on a text; the first is the reference for the others.

    Args:
        tokenizers: by the name to print, tokenizers or folders that hold one (of a run, too).
        text: any text.
        changes: whether to list everything that each tokenizes differently from the first.
        corpus_settings: how text is read: its `text_field` is used.
        reporter: is told what of the text is left out.

    Returns:
        One row per tokenizer, in their order.

    Raises:
        TextError, TokenizerError: a text or a tokenizer cannot be read.
    """
    from ekle.evaluation.tokenizer.compare import compare_tokenizers

    reader = _reader(corpus_settings, reporter)
    with Given(text_field=reader.text_field) as given:
        found = {name: _resolved(_place(where, given)) for name, where in tokenizers.items()}
        return compare_tokenizers(found, given.named(text, "text"), changes=changes, reader=reader)


def compare_reports(
    reports: Mapping[str, Place | Scorecard | EvaluationReport],
) -> "ReportComparison":
    """Compare evaluations that were made before, figure by figure; the first is the reference.

    Args:
        reports: by the name to print, two or more of what `evaluate` returned, a run or evaluation folder,
            the path of a report.json, or a report that was read.

    Returns:
        Every figure that the first shares with another, whether their intervals overlap, and what makes the
        reports hard to compare.

    Raises:
        InputError: there are fewer than two; one is missing, damaged, or of another format.
    """
    from ekle.evaluation.report.compare import compare_reports as compared
    from ekle.evaluation.report.compare import read_report

    if len(reports) < 2:
        raise InputError("one report has nothing to be compared with; name another")

    def read(report: Place | Scorecard | EvaluationReport) -> EvaluationReport:
        if isinstance(report, EvaluationReport):
            return report
        if isinstance(report, Scorecard):
            return report.report
        return read_report(find_report(folder_of(report)))

    return compared({name: read(report) for name, report in reports.items()})


def _reader(settings: CorpusSettings | None, reporter: ProgressReporter | None) -> TextReader:
    settings = settings or CorpusSettings()
    say = reporter.say if reporter is not None else None
    return TextReader(say, settings.text_field, settings.keep_misdecoded)


def _place(thing: Place | TokenizerLike, given: Given) -> str | Path:
    """The folder of a thing, or its name where it is none."""
    if isinstance(thing, str | Path):
        return thing
    if isinstance(thing, Tokenizer | LoadedTokenizer):
        return given.tokenizer_folder(thing)
    if isinstance(thing, LoadedModel):
        raise InputError(
            "a loaded model has no tokenizer with it; save both into one folder with save_pretrained and "
            "name that"
        )
    return folder_of(thing)


def _resolved(where: str | Path) -> str | Path:
    """The model or tokenizer in a folder; a name that is no folder means itself."""
    return find_model(Path(where)) if Path(where).is_dir() else where


def export(
    model: Place,
    out: str | Path,
    *,
    format: ExportFormat = "hf",
    settings: ReleaseSettings | None = None,
    reporter: ProgressReporter | None = None,
) -> Path:
    """Write a model as a Hugging Face folder: merged safetensors, tokenizer, model card.

    Args:
        model: a run folder, an extended model, a release, or what `train` returned.
        out: the new folder.
        format: `hf`; the others are not built yet.
        settings: precision and shard size.
        reporter: receives progress.

    Returns:
        `out`.

    Raises:
        NotAvailableError: `format` is not built yet.
        InputError: `model` is none of these.
        CheckpointError: the weights cannot be read.
        RunFolderError: `out` holds something.
    """
    from ekle.release.export import export as write_model

    return write_model(
        folder_of(model), Path(out), settings or ReleaseSettings(), reporter or silent(), format
    )


def plan(recipe: Recipe | str | Path, gpu: str | None = None, gpus: int = 1) -> Plan:
    """What a recipe takes: memory, time and disk, by formula.

    Args:
        recipe: the settings, or the name or file of a recipe.
        gpu: its memory ("40GB") or name ("a100-40"); None means the one of this machine, if there is one.
        gpus: how many train together.

    Raises:
        InputError: no such GPU is known, or the shape of the base is not to be had.
    """
    from ekle.planning.gpus import find_gpu, gpu_of_size
    from ekle.planning.shapes import shape_of

    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    shape = shape_of(chosen)
    if gpu is not None:
        return make_plan(chosen, shape, find_gpu(gpu), gpus)
    from ekle.model.device import first_gpu  # with torch, which no other part of a plan needs

    found = first_gpu()
    return make_plan(chosen, shape, gpu_of_size(*found) if found else None, gpus)
