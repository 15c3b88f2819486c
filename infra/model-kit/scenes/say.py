"""Says prompts again as the translator does, in the captions' words: what is understood, without drawing it.

    python -m scenes say "two red cubes and a green one"
    python -m scenes say          # those written by hand (judge/wordings.json), and how many are understood
"""

import json

import torch

from . import tokenizer, translator
from .meaning import ATTRIBUTES, MOST, OPPOSITE, QUESTIONS
from .paths import JUDGE


@torch.no_grad()
def _answers(prompts: list[str]) -> list[dict]:
    """question → answer, of each prompt."""
    reader, words = translator.load()
    numbers = reader(tokenizer.encode(words, prompts)).argmax(2).tolist()
    return [{question: answers[number] for (question, answers), number in zip(QUESTIONS, row)} for row in numbers]


def _things(answers: dict) -> list[list[str]]:
    """The words of each object."""
    count = {"nothing": 0, "one": 1, "three": MOST}.get(answers["form"], 2)
    return [[answers[f"{name} {n}"] for name in ATTRIBUTES if answers[f"{name} {n}"]] for n in range(count)]


def _are(asked: list[str], things: list[list[str]]) -> bool:
    """Whether the things are those that were asked for, in any order, with all that was said of each."""
    if not asked or not things:
        return not asked and not things
    return any(set(asked[0].split()) <= set(thing) and _are(asked[1:], things[:n] + things[n + 1 :]) for n, thing in enumerate(things))


def understood(wording: dict, answers: dict) -> bool:
    """As test/eval/wordings.ts has it, and besides sizes, materials and places of several, which no picture is asked for there."""
    asked, things, form = wording["objects"], _things(answers), answers["form"]
    if not asked:
        return True  # nothing that it could draw: whatever it makes of that is a caption
    if wording.get("floor", answers["floor"]) != answers["floor"] or not _are(asked, things):
        return False
    if "relation" not in wording:
        return True
    first, second = things if form == wording["relation"] else reversed(things)
    return form in (wording["relation"], OPPOSITE[wording["relation"]]) and _are(asked[:1], [first]) and _are(asked[1:], [second])


def say(prompts: list[str]) -> None:
    if prompts:
        for prompt, answers in zip(prompts, _answers(prompts)):
            print(f"{prompt} → {_caption(answers)}")
        return
    for name, wordings in json.loads((JUDGE / "wordings.json").read_text()).items():
        wordings = [wording for wording in wordings if wording["objects"]]
        said = _answers([wording["prompt"] for wording in wordings])
        missed = [(wording["prompt"], answers) for wording, answers in zip(wordings, said) if not understood(wording, answers)]
        print(f"{name}: {len(wordings) - len(missed)} of {len(wordings)} understood")
        for prompt, answers in missed:
            print(f"    {prompt} → {_caption(answers)}")


def _caption(answers: dict) -> str:
    things = " · ".join(" ".join(thing) for thing in _things(answers))
    return f"{things} ({answers['form']}{', ' + answers['floor'] + ' floor' if answers['floor'] else ''})"
