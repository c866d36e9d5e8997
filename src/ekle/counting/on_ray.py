"""Counting on Ray Data: the same function over many files, on one machine or on a cluster.

A task reads one file and returns its table of counts, which is much smaller than the text; the tables are
added up where the program runs. Ray is an extra (`pip install ekle[ray]`), because it is larger than
everything else that counting needs.
"""

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from ekle.bpe.base import load_base
from ekle.counting.counts import Counts
from ekle.counting.documents import MAX_ROWS, TableSum, count_documents
from ekle.errors import InputError
from ekle.progress import silent
from ekle.recipe.vocabulary import PreTokenizationKind
from ekle.text.documents import TextReader, local_files


def count_on_ray(
    sources: Sequence[str],
    base: str,
    say: Callable[[str], None] | None = None,
    *,
    pre_tokenization: PreTokenizationKind = "base",
    text_field: str = "text",
    keep_misdecoded: bool = False,
    most: int = MAX_ROWS,
) -> Counts:
    """What `count_documents` gives for the files of `sources`, counted with one Ray task per file.

    Ray is started on this machine unless the program is connected to a cluster already; then every
    worker must see the files, and the base, under the same names.

    Args:
        sources: files, folders or `bundled:...`.
        base: "qwen3", a folder with tokenizer.json, or a hub id.
        say: gets a line for each file of which something is left out.
        pre_tokenization: see `count_documents`.
        text_field: field or column that holds the text.
        keep_misdecoded: whether Turkish that was decoded in a wrong way is counted, too.
        most: see `count_documents`; applies to each file and to the sum.

    Raises:
        InputError: Ray is not installed, or a source is a data set of the hub.
        TextError: a source is absent or holds no text file.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError("Ray is not installed; pip install 'ekle[ray]', or count without --ray") from error
    if hub := [source for source in sources if source.startswith("hf:")]:
        raise InputError(f"Ray counts files, and {hub[0]} is none; download it first, or count without --ray")
    files = [str(path) for path in local_files(sources)]
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)

    def count_file(batch: pa.Table) -> pa.Table:
        (file,) = batch["item"].to_pylist()
        said: list[str] = []
        reader = TextReader(said.append, text_field, keep_misdecoded)
        texts = (document.text for document in reader.documents([file], turkish=True))
        counts = count_documents(
            texts, load_base(base), silent(), pre_tokenization=pre_tokenization, most=most
        )
        return _as_rows(counts, said)

    counted = ray.data.from_items(files, override_num_blocks=len(files)).map_batches(
        count_file, batch_size=1, batch_format="pyarrow"
    )
    tables = TableSum(most)
    totals = {"documents": 0, "text_bytes": 0, "forgotten": 0}
    for batch in counted.iter_batches(batch_size=None, batch_format="pyarrow"):
        frame = pl.DataFrame(pl.from_arrow(batch))
        for name in totals:
            totals[name] += int(frame[name].sum())
        if say is not None:
            for line in "".join(frame["said"]).split("\n")[:-1]:
                say(line)
        tables.add(frame.filter(pl.col("text").is_not_null()).select("text", "count"))
    return Counts(
        tables.total(),
        load_base(base).fingerprint,
        totals["documents"],
        totals["text_bytes"],
        pre_tokenization,
        totals["forgotten"] + tables.forgotten,
    )


def _as_rows(counts: Counts, said: list[str]) -> Any:
    """The table as Arrow, after one row without text that has the totals and what the reader said."""
    about = {"documents": counts.documents, "text_bytes": counts.text_bytes, "forgotten": counts.forgotten}
    totals = {name: [value] for name, value in about.items()}
    lines = "".join(f"{line}\n" for line in said)
    first = pl.DataFrame({"text": [None], "count": [0], **totals, "said": [lines]})
    rows = counts.table.with_columns(*(pl.lit(0).alias(name) for name in about), pl.lit("").alias("said"))
    kinds = {"text": pl.String, "count": pl.Int64, **dict.fromkeys(about, pl.Int64), "said": pl.String}
    return pl.concat([frame.cast(kinds) for frame in (first, rows)]).to_arrow()  # type: ignore[arg-type]
