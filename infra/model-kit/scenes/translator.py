"""Reads a prompt in whatever words and says it again in those of the captions, which τθ was trained with.

    "two small cubes, a red one and a blue one" → "a small red cube and a small blue cube"

A small transformer answers the QUESTIONS about the prompt, and the answers fill in a caption. Both become one graph with τθ, so that the text encoder
takes token numbers and gives hidden states, like that of every text-to-image model. What is worded as a caption is said again as it is.
"""

from collections import Counter

import torch
from torch import nn
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from . import tokenizer
from .captions import RELATIONS
from .lexicon import SIGNS
from .meaning import ATTRIBUTES, FLOOR, FORMS, MOST, QUESTIONS
from .paths import TRANSLATOR
from .wordings import Speaker

LENGTH = 64  # tokens of a prompt: a word that it does not know takes one for every letter or two
WIDTH, LAYERS = 128, 3
ANSWERS = max(len(answers) for _, answers in QUESTIONS)
PIECES = "ing ed er est ly ish tion al ic ness ful less able like es en or ar an in on at it le ll ss th st nd ck ch sh ee oo ea ou ai".split()
LETTERS = [*(chr(code) for code in range(33, 127) if not chr(code).isupper()), "ß"]


def vocabulary() -> list[str]:
    """The words that the grammar says now and then, and pieces for all others, so that they are read letter by letter."""
    cut, speaker = tokenizer.build().backend_tokenizer, Speaker(0)
    said = Counter(word for _ in range(60_000) for word, _ in cut.pre_tokenizer.pre_tokenize_str(cut.normalizer.normalize_str(speaker.prompt()[0])))
    words = {word for word, times in said.items() if times >= 12 and word.isascii()} | set(tokenizer.vocabulary()) | {*LETTERS, *"".join(SIGNS.values())}
    return sorted(words) + [f"##{piece}" for piece in [*filter(str.isalnum, LETTERS), *PIECES, *"".join(SIGNS.values())]]


class Reader(nn.Module):
    """Tokens int64 [B, S] → how likely each answer to each question is, logits [B, QUESTIONS, ANSWERS]. The padding is not looked at."""

    def __init__(self, words: int):
        super().__init__()
        config = BertConfig(vocab_size=words + len(QUESTIONS), hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=4, intermediate_size=4 * WIDTH,
                            max_position_embeddings=LENGTH + len(QUESTIONS), type_vocab_size=1, pad_token_id=0, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        config._attn_implementation = "eager"  # plain operators, which the ONNX tracer can follow
        self.bert = BertModel(config, add_pooling_layer=False)
        self.answers = nn.Parameter(torch.randn(len(QUESTIONS), WIDTH, ANSWERS) * WIDTH**-0.5)
        self.register_buffer("questions", words + torch.arange(len(QUESTIONS))[None], persistent=False)
        known = torch.tensor([[n < len(answers) for n in range(ANSWERS)] for _, answers in QUESTIONS])
        self.register_buffer("unheard", torch.where(known, 0.0, -1e4), persistent=False)  # answers that a question does not have

    def forward(self, input_ids):
        tokens = torch.cat([self.questions.expand(input_ids.shape[0], -1), input_ids], 1)
        blind = (tokens == 0)[:, None, None].float() * -1e4  # [B, 1, 1, S]
        states = self.bert(inputs_embeds=self.bert.embeddings.word_embeddings(tokens), attention_mask=blind)[0]
        return (states[:, : len(QUESTIONS), None] @ self.answers)[:, :, 0] + self.unheard


class Writer(nn.Module):
    """Answers int64 [B, QUESTIONS] → the caption's tokens int64 [B, 32]."""

    def __init__(self):
        super().__init__()
        number = tokenizer.build().get_vocab()

        def table(name: str, rows: list[str]) -> None:
            """Of each answer the words that it stands for, as many columns as the longest has."""
            longest = max(len(row.split()) for row in rows)
            self.register_buffer(name, torch.tensor([[number[word] for word in row.split()] + [0] * (longest - len(row.split())) for row in rows]), persistent=False)

        count = [{"nothing": 0, "one": 1, "three": 3}.get(form, 2) for form in FORMS]
        joined = ["" if form in ("nothing", "one") else "," if form == "three" else RELATIONS[form][0] for form in FORMS]
        table("before_0", ["a" if n > 0 else "" for n in count])
        table("before_1", [f"{words} a" if n > 1 else "" for n, words in zip(count, joined)])
        table("before_2", ["and a" if n > 2 else "" for n in count])
        for name, words in ATTRIBUTES.items():
            table(name, words)
        table("floor", [f"a {floor} floor" if floor else "" for floor in FLOOR])
        self.register_buffer("there", torch.tensor(count)[:, None] > torch.arange(MOST), persistent=False)  # [FORMS, MOST]
        self.register_buffer("on", torch.tensor(number["on"]), persistent=False)
        self.register_buffer("ends", torch.tensor([number["[CLS]"], number["[SEP]"]]), persistent=False)

    def forward(self, answers):
        form, *looks, floor = answers.unbind(1)
        begin, end = (form[:, None] * 0 + self.ends).split(1, 1)
        words = [begin]
        for n in range(MOST):
            words.append(getattr(self, f"before_{n}")[form])
            there = self.there[form][:, n : n + 1].long()
            words += [getattr(self, name)[looks[n * len(ATTRIBUTES) + i]] * there for i, name in enumerate(ATTRIBUTES)]
        words.append((self.on * (form > 0) * (floor > 0))[:, None])
        words += [self.floor[floor], end]
        words = torch.cat(words, 1)  # with gaps, where the padding's number stands
        width = words.shape[1]
        order = ((words == 0) * width + torch.arange(width)).topk(width, dim=1, largest=False)[1]
        return nn.functional.pad(words.gather(1, order), (0, tokenizer.LENGTH - width))


class Text(nn.Module):
    """Tokens of a prompt, int64 [B, S] → what τθ gives for the caption that says the same, [B, 32, 128]."""

    def __init__(self, reader: Reader, model: BertModel):
        super().__init__()
        self.reader, self.writer, self.model = reader, Writer(), model

    def forward(self, input_ids):
        return self.model(self.writer(self.reader(input_ids).argmax(2)))[0]


def build(vocabulary: list[str]) -> tuple[Reader, PreTrainedTokenizerFast]:
    words = tokenizer.build(vocabulary, LENGTH)
    return Reader(len(words)).eval(), words


def load() -> tuple[Reader, PreTrainedTokenizerFast]:
    """The trained one, and its tokenizer."""
    if not TRANSLATOR.exists():
        raise SystemExit(f"expected {TRANSLATOR.name} in the work folder, found none: train it with python -m scenes translator, or restore the shipped one")
    state = torch.load(TRANSLATOR)
    reader, words = build(state["words"])
    reader.load_state_dict(state["reader"])
    return reader, words
