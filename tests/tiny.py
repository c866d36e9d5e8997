"""A world small enough for tests: text, a tokenizer, a Qwen3, a vocabulary and a grafted model.

Everything is built here without the code under test wherever that is possible, so that a defect in
the package cannot hide in its own fixture. The pieces have the shape of the real ones: byte-level BPE
with Qwen's pre-tokenizer, added tokens above the BPE ids, a hole of unused rows, new ids behind it.
"""

import itertools
import json
from collections import Counter
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import polars
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, GenerationConfig, Qwen3Config, Qwen3ForCausalLM

from ekle.artifacts import BaseModel, Corpus, ExtendedModel, NewToken, Vocabulary
from ekle.bpe.base import load_base
from ekle.bpe.byte_alphabet import decode_token
from ekle.bpe.graft import Merge, graft
from ekle.bpe.qwen import WORD_PATTERN

BPE_IDS = 400
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
START = BPE_IDS + 1
HOLE = 7
BASE_ROWS = BPE_IDS + len(SPECIALS) + HOLE  # 410
NEW_TOKENS = 20
HIDDEN, LAYERS, HEAD_DIM = 32, 2, 16

TURKISH = """\
Evlerimizden birinde yaşlı bir adam oturuyordu ve her sabah erkenden kalkıp bahçedeki ağaçları suluyordu.
Öğrenciler sınava hazırlanmak için kütüphaneye gittiler ama kütüphane o gün kapalıydı.
Ankara'da hava bugün güneşli, İstanbul'da ise yağmurlu olacak.
Kitaplarımızı okula götürdük, öğretmenimiz kitapları tek tek okudu.
Deniz kıyısındaki küçük evler akşam güneşinde parlıyordu.
Çocuklar bahçede oynuyor, anneler balkondan çocukları izliyordu.
Bu yıl üzüm bağlarında iyi bir ürün bekleniyor, köylüler çok mutlu.
Gelecek hafta arkadaşlarımızla birlikte dağlara gideceğiz.
Türkiye'nin en büyük gölü hangisidir diye sordu öğretmen.
Evimizin önündeki yol geçen kış kardan kapanmıştı.
Yarın sabah erkenden yola çıkıp akşam eve döneceğiz.
Ağaçların altında oturan yaşlılar eski günlerden konuşuyorlardı.
Bilim insanları yeni ilaçların daha güvenli olduğunu söylüyor.
Okullar açılınca öğrenciler yeniden kitaplarına döndüler.
Sokaktaki kediler için su ve mama bıraktık, kediler çok sevindi.
Bahçedeki çiçekler bu bahar erkenden açtı.
""".splitlines()

ENGLISH = """\
The students went to the library in the morning, but the library was closed that day.
The old man watered the trees in his garden every morning before the sun came up.
Scientists say that the new medicine is safer than the old one.
It's going to rain in the north, and the south will have a sunny day.
Children were playing in the garden while their mothers watched from the balcony.
The little houses on the coast were shining in the evening sun.
We don't know what the weather will be like next week.
Students returned to their books when the schools opened again.
""".splitlines()


def byte_level(*merges: str, regex: bool = True) -> Tokenizer:
    """One token a byte, and one for each of `merges` such as "e v" (Ġ is a space)."""
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *(merge.replace(" ", "") for merge in merges)]
    vocab = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab, [tuple(merge.split(" ")) for merge in merges]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def write_base(folder: Path, *, tied: bool = False, seed: int = 0) -> Path:
    """A model folder: tokenizer, config and a random two-layer Qwen3 in float32."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer_spec(), ensure_ascii=False), "utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(_tokenizer_config(), indent=2), "utf-8")
    (folder / "chat_template.jinja").write_text(
        "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        "utf-8",
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM(tiny_config(tied))
        with torch.no_grad():  # the usual 0.02 would make every logit of so small a model the same
            for name, parameter in model.named_parameters():
                if parameter.ndim == 2:
                    parameter.normal_(std=0.15 if "embed" in name or "lm_head" in name else 0.08)
    model.generation_config = GenerationConfig(
        eos_token_id=[BPE_IDS + 2, BPE_IDS], pad_token_id=BPE_IDS, do_sample=True, temperature=0.6, top_p=0.95
    )
    model.save_pretrained(folder)
    return folder


def with_start(folder: Path) -> Any:
    """The tokenizer of `folder`, changed to put START before every text, as Llama's and Gemma's do."""
    tokenizer = AutoTokenizer.from_pretrained(folder, bos_token=SPECIALS[1])
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{SPECIALS[1]} $A", special_tokens=[(SPECIALS[1], START)]
    )
    return tokenizer


def tiny_config(tied: bool) -> Qwen3Config:
    """The smallest Qwen3 that still has two layers and grouped-query attention."""
    return Qwen3Config(
        vocab_size=BASE_ROWS,
        hidden_size=HIDDEN,
        intermediate_size=64,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=HEAD_DIM,
        max_position_embeddings=512,
        tie_word_embeddings=tied,
        eos_token_id=BPE_IDS + 2,
        pad_token_id=BPE_IDS,
        dtype="float32",
    )


def write_base_artifact(folder: Path, model: Path) -> BaseModel:
    """The base stage's folder over the model folder `model`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "base.json").write_text(json.dumps({"model": str(model), "name": "tiny test model"}), "utf-8")
    return BaseModel(folder, "tiny test model")


def write_plain_text(folder: Path) -> Path:
    """Bundled text, a paragraph a line: Turkish, its last 4,000 letters as each genre, and English."""
    bundled = sorted((resources.files("ekle.text") / "data").iterdir(), key=lambda path: path.name)
    texts = {
        language: "\n".join(
            path.read_text("utf-8")
            for path in bundled
            if path.name.startswith(language) and path.name.endswith(".txt")
        )
        for language in ("tr", "en")
    }
    (folder / "tr").mkdir()
    (folder / "other").mkdir()
    (folder / "tr" / "train.txt").write_text(texts["tr"], "utf-8")
    for genre in ("wiki", "qa", "spoken", "legal", "review", "ud"):
        (folder / "tr" / f"dev_{genre}.txt").write_text(texts["tr"][-4_000:], "utf-8")
    (folder / "other" / "en.txt").write_text(texts["en"], "utf-8")
    return folder


def write_corpus(folder: Path) -> Corpus:
    """Thirty-odd short documents to learn from, two genres held out, English to leave alone."""
    (folder / "held-out").mkdir(parents=True, exist_ok=True)
    (folder / "other").mkdir(exist_ok=True)
    # Documents of one, two and three sentences, so that lengths differ.
    learn = [*TURKISH[:12], *(" ".join(pair) for pair in itertools.pairwise(TURKISH[:12]))]
    learn += [" ".join(TURKISH[at : at + 3]) for at in range(9)]
    _write_documents(folder / "train.jsonl", learn, "tr")
    _write_documents(folder / "replay.jsonl", ENGLISH[:6], "en")
    _write_documents(folder / "held-out" / "prose.jsonl", TURKISH[12:14], "tr")
    _write_documents(folder / "held-out" / "street.jsonl", TURKISH[14:], "tr")
    _write_documents(folder / "other" / "english.jsonl", ENGLISH[6:], "en")
    words = Counter(word for line in learn for word in _pre_tokens(line))
    ordered = sorted(words.items(), key=lambda item: (-item[1], item[0]))
    polars.DataFrame(ordered, schema=["text", "count"], orient="row").write_parquet(folder / "counts.parquet")
    summary = {
        "bytes": sum(len(line.encode()) for line in learn),
        "documents": len(learn),
        "words": sum(len(line.split()) for line in learn),
        "sources": ["tests"],
    }
    (folder / "corpus.json").write_text(json.dumps(summary, indent=2), "utf-8")
    return Corpus(folder)


def write_vocabulary(folder: Path, base: Path) -> Vocabulary:
    """Twenty tokens learned by continued BPE over `TURKISH`, grafted behind the hole."""
    tokenizer = load_base(str(base))
    merges = _continue_bpe(tokenizer.tokenizer(), TURKISH, NEW_TOKENS)
    spec, config = graft(tokenizer, merges)
    (folder / "tokenizer").mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer" / "tokenizer.json").write_text(json.dumps(spec, ensure_ascii=False), "utf-8")
    (folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(config, indent=2), "utf-8")
    template = (base / "chat_template.jinja").read_text("utf-8")
    (folder / "tokenizer" / "chat_template.jinja").write_text(template, "utf-8")

    old, new = tokenizer.tokenizer(), Tokenizer.from_file(str(folder / "tokenizer" / "tokenizer.json"))
    produced = Counter(number for line in TURKISH for number in new.encode(line).ids)
    tokens = []
    for offset, merge in enumerate(merges):
        text = merge.token.decode("utf-8")
        pieces = old.encode(text).ids
        number = BASE_ROWS + offset
        tokens.append(
            NewToken(
                id=number,
                text=text,
                category="word" if text.startswith(" ") else "suffix",
                morphemes=[text.strip()],
                count=produced[number],
                tokens_saved=produced[number] * (len(pieces) - 1),
                base_tokens=pieces,
                harmony="none",
                foreign_hits=0,
            )
        )
    (folder / "tokens.jsonl").write_text("".join(token.line() + "\n" for token in tokens), "utf-8")
    before = sum(len(old.encode(line).ids) for line in TURKISH)
    after = sum(len(new.encode(line).ids) for line in TURKISH)
    size = sum(len(line.encode()) for line in TURKISH)
    report = {
        "size": len(tokens),
        "first_new_id": BASE_ROWS,
        "rows": BASE_ROWS + len(tokens),
        "base": {"name": str(base), "fingerprint": tokenizer.fingerprint},
        "profile": "portable",
        "strategy": "free",
        "growth": [
            {"size": 0, "tokens": before, "bytes_per_token": size / before},
            {"size": len(tokens), "tokens": after, "bytes_per_token": size / after},
        ],
        "text": "the sentences of tests/tiny.py",
    }
    (folder / "report.json").write_text(json.dumps(report, ensure_ascii=False, indent=2), "utf-8")
    return Vocabulary(folder)


def write_extended(folder: Path, base: Path, vocabulary: Vocabulary) -> ExtendedModel:
    """The base with mean-of-pieces rows for the new tokens, made the slow and plain way."""
    model = folder / "model"
    model.mkdir(parents=True, exist_ok=True)
    tensors = load_file(base / "model.safetensors")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        if name in tensors:
            new = [tensors[name][token.base_tokens].mean(dim=0) for token in vocabulary.tokens()]
            tensors[name] = torch.cat([tensors[name], torch.stack(new)])
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((base / "config.json").read_text("utf-8"))
    config["vocab_size"] = BASE_ROWS + vocabulary.size
    (model / "config.json").write_text(json.dumps(config, indent=2), "utf-8")
    (model / "generation_config.json").write_bytes((base / "generation_config.json").read_bytes())
    for path in vocabulary.tokenizer.iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    extension = {
        "first_new_id": BASE_ROWS,
        "size": vocabulary.size,
        "init": "subword",
        "base": vocabulary.report["base"],
        "base_model": base.name,
    }
    (folder / "extension.json").write_text(json.dumps(extension, indent=2), "utf-8")
    return ExtendedModel(folder)


def _tokenizer_spec() -> dict[str, Any]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORD_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=BPE_IDS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
        min_frequency=2,
    )
    # Mostly English, so that Turkish is cut small, as it is by the real base.
    tokenizer.train_from_iterator([*ENGLISH * 8, *TURKISH[:4]], trainer)
    spec: dict[str, Any] = json.loads(tokenizer.to_str())
    assert len(spec["model"]["vocab"]) == BPE_IDS
    spec["added_tokens"] = [
        {
            "id": BPE_IDS + offset,
            "content": content,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for offset, content in enumerate(SPECIALS)
    ]
    return spec


def _tokenizer_config() -> dict[str, Any]:
    return {
        "add_prefix_space": False,
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "model_max_length": 512,
        "pad_token": "<|endoftext|>",
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": None,
    }


def _continue_bpe(tokenizer: Tokenizer, lines: Iterable[str], size: int) -> list[Merge]:
    """The `size` most useful further merges, one at a time, most frequent pair first."""
    words = Counter(word for line in lines for word in _pre_tokens(line))
    cuts = {word: [decode_token(piece) for piece in tokenizer.encode(word).tokens] for word in words}
    known = {decode_token(token) for token in tokenizer.get_vocab() if token not in SPECIALS}
    merges: list[Merge] = []
    while len(merges) < size:
        pairs: Counter[tuple[bytes, bytes]] = Counter()
        for word, count in words.items():
            for pair in itertools.pairwise(cuts[word]):
                if _is_whole(pair[0] + pair[1]) and pair[0] + pair[1] not in known:
                    pairs[pair] += count
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(Merge(*best))
        known.add(best[0] + best[1])
        for cut in cuts.values():
            at = 0
            while at < len(cut) - 1:
                if (cut[at], cut[at + 1]) == best:
                    cut[at : at + 2] = [best[0] + best[1]]
                at += 1
    return merges


def _pre_tokens(line: str) -> list[str]:
    split = pre_tokenizers.Split(Regex(WORD_PATTERN), "isolated")
    return [piece for piece, _ in split.pre_tokenize_str(line)]


def _is_whole(token: bytes) -> bool:
    try:
        token.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _write_documents(path: Path, texts: Iterable[str], source: str) -> None:
    lines = (json.dumps({"text": text, "source": source}, ensure_ascii=False) + "\n" for text in texts)
    path.write_text("".join(lines), "utf-8")
