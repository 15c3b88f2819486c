"""Small CLIP, BERT and T5 tokenizers, and what transformers makes of 1,000 strings with them.

Each folder holds only the files that older exports have (`vocab.json` and `merges.txt`, `vocab.txt`, or `spiece.model`, with tokenizer_config.json and
special_tokens_map.json as Stable Diffusion 1, 2, 3 and LDM text2im ship them); `tokenizer.json` is what our converter has to make of them. The expected ids are in
token-ids.json.gz.

The file is not called tokenizers.py: Python would take it for the package of that name.
"""

import io
import json
import random
import shutil
import struct
import tempfile
import unicodedata
from collections import Counter
from pathlib import Path

import sentencepiece
from golden import fresh, keep, write
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from transformers import BertTokenizer, CLIPTokenizer, T5Tokenizer

LENGTH = 77

# Phrases of many scripts; the vocabularies are trained on them and the strings are put together from them.
PHRASES = """
a photograph of an astronaut riding a horse on the moon, highly detailed, trending on artstation
oil painting of a small red fox in a snowy forest at sunset, volumetric lighting, 8k
portrait of an old man with a grey beard by rembrandt, dramatic light, sharp focus
a large blue cube and a shiny green sphere on the floor, studio lighting
the quick brown fox jumps over the lazy dog
cyberpunk city street at night, neon signs, rain, cinematic, wide angle, 35mm
isn't it they're we've I'm you'll he'd SHE'S WE'RE don't O'Brien's rock'n'roll
café naïve façade résumé Ångström Żółć coöperate señor über straße ﬁne ﬂower Æther œuvre
Привет, мир! Красная площадь зимой, ночь, снег
Ελληνικά: Ο ΣΊΣΥΦΟΣ ΚΑΙ Ο ΟΔΥΣΣΕΎΣ στη θάλασσα
日本の古い庭園、桜の花 東京タワー カタカナ ひらがな ﾊﾝｶｸ
中国山水画 水墨 高山流水 漢字 简体字
한국의 가을 풍경 한글 조선
مرحبا بالعالم لوحة زيتية قديمة ١٢٣
שלום עולם ציור שמן
हिन्दी में एक सुंदर चित्र नमस्ते दुनिया
ภาพวาดสีน้ำมันของทะเล สวัสดีชาวโลก
தமிழ் ஓவியம் বাংলা ছবি ગુજરાતી ਪੰਜਾਬੀ తెలుగు
İstanbul ILIK ığdır DİYARBAKIR Iğneada
tiếng Việt Hà Nội đẹp quá
ქართული ენა Հայերեն አማርኛ ខ្មែរ မြန်မာ ལྷ་ས
""".strip().split("\n")

EMOJI = ["😀", "👩‍🚀", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪🇯🇵", "👍🏽", "❤️", "☃", "🧑🏿‍🎨", "1️⃣", "🫠", "🎉🎉🎉", "©®™", "⚡️", "♟", "🀄"]
SPACES = [" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2003", "\u200b", "\u2028", "\u2029", "\u0085", "\ufeff", "\u180e", "\u202f",
          "\u205f", "\u1680", "\v", "\f", "\x1c", "\x1f", " \n \t "]
CONTROLS = ["\x00", "\x01", "\x07", "\x08", "\x1b", "\x7f", "\x80", "\x9f", "\u00ad", "\u200c", "\u200d", "\u200e", "\u202e", "\u2060", "\ufffd",
            "\ufffe", "\uffff", "\ue000", "\U000e0041", "\U0010ffff", "\U000f0000", "\u0600", "\ufff9"]
MARKS = ["e\u0301", "\u0301", "a\u0328\u0301", "ẛ̣", "\u1112\u1161\u11ab", "x\u0338", "Z\u0351\u036b\u0343\u036a\u0302", "ｅ\u0301", "\u0344", "Å", "Å",
         "\ufb1d", "\u0f73", "\U0001d15e", "क़", "ς", "Σ", "ΑΣ", "ΑΣ.", "Σ Σ", "ß", "ẞ", "Ǆ", "ǅ", "ŉ", "ﬃ", "İ", "ı", "K", "ſ", "\u2126", "ᾳ", "ᾼ"]
NUMBERS = ["0", "3.14", "1,000,000", "²³¹", "½", "Ⅷ", "٣٤٥", "०१२", "①②", "𝟙𝟚", "一二三", "1e-5", "0x7f", "12:30", "㍿", "2nd", "ⅷ", "৪", "𒐀"]
PUNCTUATION = ["!", "!!", "!!!", "?!", "...", "…", "—", "–", "'", "’s", "\"", "``", "«»", "„“", "、", "。", "！", "$", "€", "^", "~", "`", "|", "<", ">", "=", "+",
               "@#%&*", "()", "[]", "{}", "\\", "/", "_", "__init__", "-", "--", "•", "·", "¿", "¡", "†", "‰", "§", "((masterpiece:1.2))", "[cat|dog]",
               "\u2e4f", "\u061e", "\u0df4", "\U00010f55", "𝒜", "𝔻", "⟨⟩", "₿", "﷼", "﹏", "＿"]
LOOKALIKES = ["<|endoftext|>", "<|startoftext|>", "<|ENDOFTEXT|>", "<|EndOfText|>", "<|endoftext|", "<| endoftext |>", "<|endoftext|></w>", "</w>", "a</w>",
              "<|endoftext|><|endoftext|>", "<|startoftext|>cat<|endoftext|>dog", "x<|endoftext|>y", "<|endofte\u200bxt|>", "<|endoftext|>'s", "［CLS］",
              "[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]", "[cls]", "[ SEP ]", "[CLS]cat[SEP]", "##ing", "[unused1]", "<|endoﬀtext|>", " <|endoftext|> ",
              "\u00a0[SEP]\u3000", "İ<|endoftext|>İ", "[MASK] ", " [MASK]", "Ġ", "Ċ", "âĢ", "!", "wow!", "!wow", "a!b!c",
              "<Cat-Toy>", "<cat-toy>", "a <dog> sits", "<DOG>", "wow", "wowed", "wowwow", "wow©", "_wow", "\u200cwow"]
CJK = ["\U00020000", "\U0002a6df", "\U0002a700", "\U0002b738", "\U0002b740", "\U0002b81f", "\U0002b820", "\U0002b920", "\U0002ceaf", "\U0002f800", "\U0002fa1f",
       "㐀", "䶿", "一", "鿿", "豈", "𪚥", "\U00030000", "〇", "々", "ヶ", "ㄅ"]


def strings() -> list[str]:
    """Hand-made nasty ones first, then mixtures from a seed."""
    pick = random.Random(2112_10752)
    pieces = [*EMOJI, *SPACES, *CONTROLS, *MARKS, *NUMBERS, *PUNCTUATION, *LOOKALIKES, *CJK]
    made = ["", " ", "\n", "a", "A", *pieces, *PHRASES, *(phrase.upper() for phrase in PHRASES)]
    made += [f"a{piece}b" for piece in (*SPACES, *CONTROLS)] + [f"{piece} cat {piece}" for piece in LOOKALIKES]
    made += ["red " * 20, "a" * 100, "a" * 101, "é" * 300, "x " * 74, "x " * 75, "x " * 76, "!" * 200, "<|endoftext|>" * 90, "中" * 120, "🎉" * 60,
             " ".join(PHRASES), "".join(PHRASES), "\u0301" * 50, "a" + "\u0300" * 80, "supercalifragilisticexpialidocious" * 30, "🧑🏿‍🎨" * 40, "a\n" * 200]
    words = [word for phrase in PHRASES for word in phrase.split()]
    assigned = [chr(c) for c in range(0x20000) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
    while len(dict.fromkeys(made)) < 1000:
        kind = pick.randrange(6)
        count = pick.choice([2, 4, 8, 8, 15, 15, 30, 60])
        if kind == 0:
            text = " ".join(pick.choice(words) for _ in range(count))
        elif kind == 1:
            text = "".join(pick.choice(pieces) for _ in range(count))
        elif kind == 2:
            text = "".join(pick.choice(words + pieces) + pick.choice(SPACES) for _ in range(count // 2 + 1))
        elif kind == 3:
            text = "".join(pick.choice(assigned) for _ in range(count))
        elif kind == 4:
            text = "".join(pick.choice([str.upper, str.title, str.swapcase, str])(pick.choice(words)) + pick.choice(["", " ", ", ", "-", "'s "]) for _ in range(count))
        else:
            text = "".join(pick.choice(pick.choice(words)) + pick.choice(["", "", pick.choice(pieces)]) for _ in range(count))
        made.append(text)
    return list(dict.fromkeys(made))


def clip(folder: Path) -> None:
    """A vocabulary as OpenAI's: 256 bytes, 256 bytes that end a word, the merges, two special tokens."""
    normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    cut = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), behavior="removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    words = Counter(word for text in (*PHRASES, *EMOJI, *PUNCTUATION) for word, _ in cut.pre_tokenize_str(normalizer.normalize_str(text)))
    merges = byte_pairs(words, 700)
    alphabet = bytes_to_unicode()
    tokens = [*alphabet, *(f"{letter}</w>" for letter in alphabet), *("".join(pair) for pair in merges), "<|startoftext|>", "<|endoftext|>"]
    put(folder / "vocab.json", json.dumps({token: i for i, token in enumerate(tokens)}, ensure_ascii=False))
    put(folder / "merges.txt", "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))


def byte_pairs(words: Counter, count: int) -> list[tuple[str, str]]:
    """The most frequent pair, again and again. The trainer of `tokenizers` breaks ties by chance, so the files would never be the same."""
    split = {word: [*word[:-1], f"{word[-1]}</w>"] for word in words}
    merges = []
    while len(merges) < count:
        pairs = Counter()
        for word, parts in split.items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += words[word]
        a, b = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append((a, b))
        for parts in split.values():
            i = 0
            while i < len(parts) - 1:
                if parts[i] == a and parts[i + 1] == b:
                    parts[i : i + 2] = [a + b]
                i += 1
    return merges


def bytes_to_unicode() -> list[str]:
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(b) for b in printable] + [chr(256 + n) for n in range(256 - len(printable))]


def bert(folder: Path) -> None:
    """Every letter, alone and inside a word, and the most frequent beginnings and inner parts of words."""
    normalizer, cut = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    texts = [*PHRASES, *PUNCTUATION, *NUMBERS, "the cat sat"]
    words = Counter(word for text in texts for word, _ in cut.pre_tokenize_str(normalizer.normalize_str(text)))
    letters = sorted({letter for word in words for letter in word})
    parts = Counter()
    for word, count in words.items():
        for start in range(len(word)):
            for end in range(start + 2, len(word) + 1):
                parts[("##" if start else "") + word[start:end]] += count * (end - start)
    frequent = sorted(parts, key=lambda part: (-parts[part], part))[:700]
    special = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    put(folder / "vocab.txt", "".join(f"{word}\n" for word in (*special, *letters, *(f"##{letter}" for letter in letters), *frequent)))


def t5(folder: Path, texts: list[str]) -> None:
    """As Google's: SentencePiece's nmt_nfkc before Unigram. Of its 225,276 rules only those are kept that apply to a text here: all of them are larger than the other files together."""
    rules = charsmap(pieces().normalizer_spec.precompiled_charsmap)
    written = "\n".join(texts)
    kept = [(key, value) for key, value in rules.items() if key in written]
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        file.writelines("\t".join(" ".join(f"{ord(letter):X}" for letter in part) for part in rule) + "\n" for rule in kept)
        file.flush()
        model = pieces(normalization_rule_tsv=file.name)
    model.trainer_spec.Clear()  # It names files, and of T5's it says nothing else but this.
    model.trainer_spec.unk_id = 2
    folder.mkdir()
    (folder / "spiece.model").write_bytes(model.SerializeToString())


def t5_configs(folder: Path) -> None:
    """As Stable Diffusion 3 and FLUX have it, but for the additional_special_tokens, which are those of `extra_ids`."""
    special = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    config = {"extra_ids": 100, "legacy": True, "model_max_length": 512, "tokenizer_class": "T5Tokenizer", **special}
    put(folder / "tokenizer_config.json", json.dumps(config, indent=2) + "\n")
    put(folder / "special_tokens_map.json", json.dumps(special, indent=2) + "\n")


def until_transformers_5(tokenizer: T5Tokenizer, texts: list[str], ids: list[list[int]]) -> dict:
    """What transformers' T5Converter wrote into tokenizer.json before there was a class that makes it, and where its ids are others."""
    made = json.loads(tokenizer.backend_tokenizer.to_str())
    strip = {"type": "Strip", "strip_left": False, "strip_right": True}
    blanks = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}
    parts = {
        "normalizer": {"type": "Sequence", "normalizers": [made["normalizer"], strip, blanks]},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True},
    }
    older = Tokenizer.from_str(json.dumps({**made, **parts}))
    older.enable_truncation(LENGTH)
    encoded = [older.encode(text).ids for text in texts]
    return {**parts, "different": {i: theirs for i, (theirs, ours) in enumerate(zip(encoded, ids)) if theirs != ours}}


def pieces(**settings):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*PHRASES, *PUNCTUATION] * 5), model_writer=model, model_type="unigram", vocab_size=700, hard_vocab_limit=False, num_threads=1,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2, **settings,
    )  # fmt: skip
    return sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())


def charsmap(compiled: bytes) -> dict[str, str]:
    """What stands for what: all strings of its double-array trie."""
    (size,) = struct.unpack_from("<I", compiled)
    units, strings = struct.unpack_from(f"<{size // 4}I", compiled, 4), compiled[4 + size :]
    rules = {}

    def walk(unit: int, key: bytes) -> None:
        base = unit ^ (units[unit] >> 10) << ((units[unit] & 0x200) >> 6)
        if units[unit] & 0x100:
            start = units[base] & 0x7FFFFFFF
            rules[key.decode()] = strings[start : strings.index(0, start)].decode()
        for byte in range(1, 256):
            if base ^ byte < size // 4 and units[base ^ byte] & 0x800000FF == byte:
                walk(base ^ byte, key + bytes([byte]))

    walk(0, b"")
    return rules


def added(content: str, typed: bool) -> dict:
    token = {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    return {"__type": "AddedToken", **token} if typed else token


def clip_configs(folder: Path, pad: str) -> None:
    tokens = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    config = {
        "add_prefix_space": False, "do_lower_case": True, "errors": "replace", "model_max_length": LENGTH, "pad_token": "<|endoftext|>",
        "tokenizer_class": "CLIPTokenizer", **{key: added(token, True) for key, token in tokens.items()},
    }
    # Stable Diffusion 2 says "!" only here.
    special = {**{key: added(token, False) for key, token in tokens.items()}, "pad_token": pad}
    put(folder / "tokenizer_config.json", json.dumps(config, indent=2) + "\n")
    put(folder / "special_tokens_map.json", json.dumps(special, indent=2) + "\n")


def added_configs(folder: Path, first: int) -> None:
    """As SDXL has it, and with tokens of textual inversion: `added_tokens_decoder`, where special_tokens_map.json is not read."""

    def token(content: str, **flags: bool) -> dict:
        return {"content": content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True, **flags}

    decoder = [
        token("<|startoftext|>", normalized=True), token("<|endoftext|>"), token("<Cat-Toy>", normalized=True, special=False),
        token("<dog>", lstrip=True, rstrip=True), token("wow", single_word=True), token("wowed", rstrip=True),
    ]
    config = {
        "model_max_length": LENGTH, "tokenizer_class": "CLIPTokenizer", "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "added_tokens_decoder": {str(first + i): token for i, token in enumerate(decoder)},
    }
    put(folder / "tokenizer_config.json", json.dumps(config, indent=2) + "\n")
    put(folder / "special_tokens_map.json", json.dumps({"pad_token": "!"}, indent=2) + "\n")


def bert_configs(folder: Path) -> None:
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("cls", "mask", "pad", "sep", "unk")}
    config = {
        "do_basic_tokenize": True, "do_lower_case": True, "model_max_length": 512, "never_split": None, "strip_accents": None,
        "tokenize_chinese_chars": True, "tokenizer_class": "BertTokenizer", **special,
    }
    put(folder / "tokenizer_config.json", json.dumps(config, indent=2) + "\n")
    put(folder / "special_tokens_map.json", json.dumps(special, indent=2) + "\n")


def put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8", newline="\n")


def golden(texts: list[str], tokenizer) -> dict:
    """As the pipelines call it; the padding at the end is counted, not listed."""
    ids, cut = [], []
    for text in texts:
        whole = tokenizer(text, padding="max_length", max_length=LENGTH, truncation=True).input_ids
        untruncated = tokenizer(text, padding="longest").input_ids
        # StableDiffusionPipeline.encode_prompt's warning
        removed = tokenizer.batch_decode([untruncated[LENGTH - 1 : -1]])[0] if untruncated != whole and len(untruncated) >= LENGTH else ""
        ids.append(whole[: min(len(untruncated), LENGTH)])
        cut.append([len(untruncated) - LENGTH, removed] if len(untruncated) > LENGTH else None)
        assert whole[len(ids[-1]) :] == [tokenizer.pad_token_id] * (LENGTH - len(ids[-1]))
    made = json.loads(tokenizer.backend_tokenizer.to_str())
    model = {key: value for key, value in made["model"].items() if key not in ("vocab", "merges")}
    json_parts = {key: made[key] for key in ("added_tokens", "normalizer", "pre_tokenizer", "post_processor")}
    return {"pad": tokenizer.pad_token_id, "ids": ids, "cut": cut, "tokenizer": {**json_parts, "model": model}}


def token_ids() -> None:
    target = fresh("tokenizers")
    texts = strings()
    clip(target / "clip")
    clip_configs(target / "clip", "<|endoftext|>")
    clip_configs(target / "clip-2", "!")
    added_configs(target / "clip-added", len(json.loads((target / "clip" / "vocab.json").read_text("utf-8"))) - 2)
    for copy in ("clip-2", "clip-added"):
        for name in ("vocab.json", "merges.txt"):
            shutil.copy(target / "clip" / name, target / copy / name)
    bert(target / "bert")
    bert_configs(target / "bert")
    # No token is named: the class has its defaults.
    bare = {"do_lower_case": False, "tokenize_chinese_chars": False, "model_max_length": 512}
    put(target / "bert-cased" / "tokenizer_config.json", json.dumps(bare, indent=2) + "\n")
    shutil.copy(target / "bert" / "vocab.txt", target / "bert-cased" / "vocab.txt")
    t5(target / "t5", texts)
    t5_configs(target / "t5")
    read_by_t5 = T5Tokenizer.from_pretrained(target / "t5")
    runs = {
        **{name: golden(texts, CLIPTokenizer.from_pretrained(target / name)) for name in ("clip", "clip-2", "clip-added")},
        **{name: golden(texts, BertTokenizer.from_pretrained(target / name)) for name in ("bert", "bert-cased")},
        "t5": golden(texts, read_by_t5),
    }
    older = until_transformers_5(read_by_t5, texts, runs["t5"]["ids"])
    # The vocabularies are the same: the tests put them there.
    for copy in ("clip-2/vocab.json", "clip-2/merges.txt", "clip-added/vocab.json", "clip-added/merges.txt", "bert-cased/vocab.txt"):
        (target / copy).unlink()
    write(f"{target.name}/token-ids.json.gz", {"length": LENGTH, "texts": texts, "runs": runs, "older_t5": older})
    keep(target)
