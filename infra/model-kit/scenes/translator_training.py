"""Trains the translator on wordings, another prompt every time: text alone, no pictures and no denoiser."""

import time

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from . import compute, tokenizer, translator
from .meaning import OPEN
from .paths import TRANSLATOR
from .wordings import Speaker

BATCH = 128
KEEP = 0.998  # of the weights' average, each step
RATE = 1.5e-3


def _batches(words, speaker: Speaker):
    """Tokens [B, S], as many as the longest prompt has, and meanings [B, QUESTIONS]. Prompts of like length go together."""
    while True:
        prompts, meanings = zip(*(speaker.prompt() for _ in range(8 * BATCH)))
        tokens = words(list(prompts), truncation=True)["input_ids"]
        order = np.argsort([len(row) for row in tokens], kind="stable")
        for rows in np.random.default_rng(speaker.rng.getrandbits(32)).permutation(order.reshape(8, BATCH)):
            longest = max(len(tokens[row]) for row in rows)
            padded = [tokens[row] + [0] * (longest - len(tokens[row])) for row in rows]
            yield torch.tensor(padded).to(compute.DEVICE), torch.tensor([meanings[row] for row in rows]).to(compute.DEVICE)


def train(minutes: float) -> None:
    """The rate follows the process's own time, as in the other trainings. Goes on from the weights that are there, also where the grammar has got other words."""
    torch.manual_seed(0)
    vocabulary = translator.vocabulary()
    reader, words = translator.build(vocabulary)
    if TRANSLATOR.exists():
        _take_over(reader, words, *translator.load())
    reader.to(compute.DEVICE)
    average = {name: value.clone() for name, value in reader.state_dict().items()}
    optimiser = torch.optim.AdamW(reader.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    batches, began, step, bar = _batches(words, Speaker(1)), time.process_time(), 0, tqdm(desc="translator")
    shown = 0.0
    while (progress := (time.process_time() - began) / 60 / minutes) < 1:
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 300) * min(1, 2 * (1 - progress))
        tokens, meanings = next(batches)
        with compute.autocast():
            logits = reader(tokens)
        loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), meanings.flatten(), ignore_index=OPEN)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimiser.step()
        step += 1
        for name, value in reader.state_dict().items():
            average[name].lerp_(value, 1 - min(KEEP, step / (step + 9)))
        shown = 0.99 * shown + 0.01 * loss.item()
        bar.update()
        bar.set_postfix(loss=f"{shown / (1 - 0.99**step):.4f}", done=f"{progress:.0%}", refresh=False)
        if step % 500 == 0:
            save(average, vocabulary)
    save(average, vocabulary)
    print(f"{step} steps; all answers right for {measure():.2%} of 10,000 unseen prompts")


def _take_over(reader: translator.Reader, words, old: translator.Reader, known) -> None:
    """Gives `reader` the weights of `old`, and to each word that both know its embedding there; the questions' stand behind the words'."""
    state, name, number = old.state_dict(), "bert.embeddings.word_embeddings.weight", known.get_vocab()
    rows = reader.state_dict()[name].clone()
    for word, row in words.get_vocab().items():
        if word in number:
            rows[row] = state[name][number[word]]
    rows[len(words) :] = state[name][len(known) :]
    reader.load_state_dict(state | {name: rows})


def save(weights: dict, vocabulary: list[str]) -> None:
    TRANSLATOR.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"reader": weights, "words": vocabulary}, TRANSLATOR)


@torch.no_grad()
def measure(prompts: int = 10_000) -> float:
    """The share of the grammar's prompts of which all is understood."""
    reader, words = translator.load()
    speaker, right = Speaker(2), 0
    for _ in range(prompts // 500):
        asked, meanings = zip(*(speaker.prompt() for _ in range(500)))
        meaning = torch.tensor(meanings)
        answers = reader(tokenizer.encode(words, list(asked))).argmax(2)
        right += ((answers == meaning) | (meaning == OPEN)).all(1).sum().item()
    return right / prompts
