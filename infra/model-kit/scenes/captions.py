"""The caption grammar: a scene's metadata in, one of its many descriptions out.

    a large shiny red sphere to the left of a small matte blue cube on a grey floor

Colour and shape are always said; size, material and floor are sometimes left out, so that short prompts work too.
"""

import numpy as np

from .words import COLOURS, FLOORS, MATERIALS, SHAPES, SIZES

# Words people use instead; the first of each list is the grammar's own.
SYNONYMS = {
    "large": ["large", "big"], "small": ["small", "little", "tiny"], "shiny": ["shiny", "glossy", "metallic"],
    "matte": ["matte", "dull"], "sphere": ["sphere", "ball"], "cube": ["cube", "box"], "gray": ["gray", "grey"],
    "grey": ["grey", "gray"],
}
RELATIONS = {"left": ["to the left of", "left of"], "right": ["to the right of", "right of"],
             "front": ["in front of"], "behind": ["behind"], "and": ["and", "next to"]}
FLOOR = ["on a", "on the"]

SYNONYM_SHARE, NO_SIZE, NO_MATERIAL, NO_FLOOR, NO_ARTICLE, PLAIN_AND = 0.06, 0.12, 0.15, 0.15, 0.06, 0.2


def vocabulary() -> list[str]:
    """Every word the grammar can say."""
    phrases = [*COLOURS, *FLOORS, *MATERIALS, *SHAPES, *SIZES, "a", "floor", ","]
    phrases += [word for group in [*SYNONYMS.values(), *RELATIONS.values(), FLOOR] for word in group]
    return sorted({word for phrase in phrases for word in phrase.split()})


def relation(a: dict, b: dict) -> str:
    """Where a stands, seen from b, along the axis on which they differ most."""
    dx, dy = a["x"] - b["x"], a["y"] - b["y"]
    if abs(dx) >= abs(dy):
        return "left" if dx < 0 else "right"
    return "front" if dy < 0 else "behind"


def _say(word: str, rng: np.random.Generator) -> str:
    options = SYNONYMS.get(word)
    return word if options is None or rng.random() > SYNONYM_SHARE else options[rng.integers(1, len(options))]


def phrase(thing: dict) -> str:
    """The full description: "a large shiny red sphere"."""
    return f"a {thing['size']} {thing['material']} {thing['colour']} {thing['shape']}"


def _phrase(thing: dict, rng: np.random.Generator) -> str:
    words = [] if rng.random() < NO_ARTICLE else ["a"]
    if rng.random() > NO_SIZE:
        words.append(_say(thing["size"], rng))
    if rng.random() > NO_MATERIAL:
        words.append(_say(thing["material"], rng))
    return " ".join([*words, _say(thing["colour"], rng), _say(thing["shape"], rng)])


def caption(scene: dict, rng: np.random.Generator) -> str:
    """One caption of the scene, drawn anew at every call. Objects are named in any order."""
    things = [scene["objects"][i] for i in rng.permutation(len(scene["objects"]))]
    said = [_phrase(thing, rng) for thing in things]
    if len(things) == 2:
        how = "and" if rng.random() < PLAIN_AND else relation(*things)
        options = RELATIONS[how]
        text = f"{said[0]} {options[0] if rng.random() < 0.8 else options[-1]} {said[1]}"
    else:
        text = said[0] if len(said) == 1 else f"{said[0]}, {said[1]} and {said[2]}"
    if rng.random() > NO_FLOOR:
        text += f" {FLOOR[int(rng.random() < 0.1)]} {_say(scene['floor'], rng)} floor"
    return text
