"""What a user writes against the public names; `test_typing.py` has mypy --strict read it, never run."""

from pathlib import Path

from tokenizers import Tokenizer

import ekle

texts: list[str] = ["Evlerimizden birinde oturuyordu.", "Sabah erkenden kalktı."]
loaded = Tokenizer.from_file("tokenizer.json")
settings = ekle.VocabularySettings(size=5000, profile="morphological")
vocabulary: ekle.Vocabulary = ekle.learn_vocabulary(texts, "vocabulary", settings=settings)
again = ekle.learn_vocabulary(
    Path("text"),
    Path("again"),
    base=loaded,
    held_out={"news": texts},
    other=["hf:a/b"],
)
size: int = again.size + vocabulary.first_new_id

counts: ekle.Counts = ekle.count_text((line for line in texts), "counts.parquet", profile="compact")

folder: Path = ekle.extend_tokenizer("qwen3", [ekle.Merge(b"Z", b"Z")], "tokenizer")
tokenizer = ekle.extend_tokenizer(loaded, [ekle.Merge(b"Z", b"Z")])
extended: ekle.ExtendedModel = ekle.extend_model("Qwen/Qwen3-0.6B", vocabulary, "extended", corpus=texts)
model = ekle.extend_model(
    Path("base"), "vocabulary", settings=ekle.ExtensionSettings(init="mean"), corpus=texts
)

recipe: ekle.Recipe = ekle.load_recipe("quickstart", ["training.steps=7"])
other = recipe.model_copy(update={"training": ekle.TrainingSettings(steps=7, dora=ekle.DoraSettings(rank=8))})
plan: ekle.Plan = ekle.plan(recipe, gpu="40GB")
fits: bool = plan.fits
at: ekle.RunFolder = ekle.run(other, "runs/mine", ekle.ProgressReporter(), until="extension")
checkpoint: ekle.Checkpoint = ekle.train(other, at.folder)
scorecard: ekle.Scorecard = ekle.evaluate(at, "evaluation", settings=ekle.EvaluationSettings(samples=0))
report: ekle.EvaluationReport = scorecard.report
saved: float | None = report.tokens.all_held_out.saved.value if report.tokens else None
rows = ekle.compare(
    {"qwen3": "qwen3", "mine": vocabulary, "loaded": tokenizer}, text={"news": Path("news.txt")}
)
tokens: list[int] = [row.texts["news"].tokens for row in rows]
written: Path = ekle.export(extended, "model", settings=ekle.ReleaseSettings(dtype="bf16"))

try:
    ekle.run("quickstart")
except ekle.EkleError as error:
    print(error, ekle.__version__)
