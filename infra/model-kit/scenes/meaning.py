"""What a prompt can ask for: the answers to QUESTIONS, numbers, OPEN where there is nothing to answer.

    "two small cubes, a red one and a blue one" → form "and", (small, red, cube), (small, blue, cube)

Objects are told in the order in which they are named, as the captions do it. What is left open and must be drawn in some way gets a look here.
"""

from dataclasses import dataclass, replace

from .words import COLOURS, FLOORS, MATERIALS, SHAPES, SIZES

OPEN = -100  # torch's own number for "of no account"
FORMS = ["nothing", "one", "left", "right", "front", "behind", "and", "three"]
ATTRIBUTES = {"size": ["", *SIZES], "material": ["", *MATERIALS], "colour": COLOURS, "shape": SHAPES}
MOST = 3  # objects
FLOOR = ["", *FLOORS]
# Each with its answers.
QUESTIONS = [("form", FORMS), *[(f"{name} {n}", words) for n in range(MOST) for name, words in ATTRIBUTES.items()], ("floor", FLOOR)]

OPPOSITE = {"left": "right", "right": "left", "front": "behind", "behind": "front"}
# Of things whose colour is not told: the first that no other one has.
DEFAULT = {"sphere": ["red", "yellow"], "cube": ["blue", "cyan"], "cylinder": ["green", "purple"], "cone": ["yellow", "red"]}
DEFAULT_SHAPE = "sphere"
DEFAULT_SIZE = "small"  # of one of three: large ones hide each other, and τθ has seldom heard of three without sizes


@dataclass
class Thing:
    """None: not told."""

    shape: str | None
    colour: str | None
    size: str | None = None
    material: str | None = None


@dataclass
class Asked:
    form: str
    things: list[Thing]
    floor: str | None = None

    def meaning(self) -> list[int]:
        """The number of the answer to each of QUESTIONS."""
        answers = {"form": FORMS.index(self.form), "floor": FLOOR.index(self.floor or "")}
        for n, thing in enumerate(_looks(self.things)):
            for name, words in ATTRIBUTES.items():
                answers[f"{name} {n}"] = words.index(getattr(thing, name) or "")
        return [answers.get(question, OPEN) for question, _ in QUESTIONS]


def _looks(things: list[Thing]) -> list[Thing]:
    """With a colour and a shape for each: things that were told alike look alike."""
    taken, given, looks = {thing.colour for thing in things}, {}, []
    for thing in things:
        if len(things) == MOST and not thing.size:
            thing = replace(thing, size=DEFAULT_SIZE)
        shape = thing.shape or DEFAULT_SHAPE
        if thing.colour is None:
            key = (shape, thing.size, thing.material)
            if key not in given:
                given[key] = next((colour for colour in DEFAULT[shape] if colour not in taken), DEFAULT[shape][0])
                taken.add(given[key])
            thing = replace(thing, colour=given[key])
        looks.append(replace(thing, shape=shape))
    return looks
