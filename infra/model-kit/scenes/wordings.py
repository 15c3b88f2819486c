"""The grammar of free wordings: what a prompt may sound like that asks for a scene. Every call makes another one."""

import random
from dataclasses import replace
from functools import cache

from . import lexicon, noise
from .languages import Foreigner
from .lexicon import phrases
from .meaning import DEFAULT_SHAPE, OPPOSITE, Asked, Thing
from .words import COLOURS, FLOORS, MATERIALS, SHAPES, SIZES

FOREIGN = 0.16  # share of prompts in other languages


class Speaker:
    """Says things in one of the ways that people do. Words come from the lexicon, shares are by feel."""

    def __init__(self, seed: int):
        self.rng = random.Random(seed)
        self.foreigner = Foreigner(self.rng)

    # Small helpers: a chance, a choice, one of a list of phrases.
    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def pick(self, *options: str) -> str:
        return self.rng.choice(options)

    def of(self, said: str, plain: float = 0.0) -> str:
        """One of the phrases; the first one with the share `plain`."""
        options = phrases(said)
        return options[0] if self.chance(plain) else self.rng.choice(options)

    # Words for one thing.
    def colour(self, colour: str) -> str:
        return self.of(lexicon.COLOURS[colour], 0.55)

    def size(self, size: str) -> str:
        return self.of(lexicon.SIZES[size], 0.4)

    def material(self, thing: Thing) -> str:
        return self.silent(thing, lexicon.MATERIALS, 0.45)

    def silent(self, thing: Thing, said: dict[str, str], plain: float = 0.0) -> str:
        """A word for the thing's material; where its colour is not told, none that would tell one."""
        word = self.of(said[thing.material], plain)
        return self.silent(thing, said, plain) if not thing.colour and any(word in phrases(of) for _, of in lexicon.TELLING.values()) else word

    def telling(self, thing: Thing) -> str:
        """ "a wooden box", which is brown without a word. Empty where no stuff tells the thing's colour."""
        options = [words for (colour, material), words in lexicon.TELLING.items() if colour == thing.colour and material == thing.material]
        if not options or not thing.shape:
            return ""
        name, stuff = (self.of(said) for said in options[0])
        size, noun = self.size(thing.size) if thing.size else "", self.noun(thing.shape)
        return _tidy(f"{self.article()}{size} {name} {noun}" if self.chance(0.6) else f"{self.article()}{size} {noun} {self.pick('made of', 'of', 'made out of', 'made from', 'in')} {stuff}")

    def noun(self, shape: str | None, many: bool = False, bare: bool = False) -> str:
        """`bare`: nothing else is said of it, so that an unknown word would tell of nothing at all."""
        if shape is None:
            word = self.pick("thing", "object", "one", "shape", "item") if bare or self.chance(0.5) else self.unknown(lexicon.NOUNS)
        else:
            familiar = _familiar(shape)
            options = [word for word in phrases(lexicon.SHAPES[shape]) if not bare or word not in familiar]
            word = self.rng.choice(options[2:] if self.chance(lexicon.ODD[shape]) else options[:2])
            if not bare and self.chance(0.06):
                word = self.rng.choice(familiar)  # "a purple tomato"
        return _plural(word) if many else word

    def familiar(self, thing: Thing, many: bool = False) -> str:
        """ "a tiny apple", which is a red sphere. Empty where there is none of its shape and colour."""
        said = lexicon.FAMILIAR.get((thing.colour, thing.shape))
        if not said:
            return ""
        noun, adjectives = self.of(said), self.adjectives(replace(thing, colour=None))
        return _tidy(f"{adjectives} {_plural(noun)}" if many else f"{self.article()}{adjectives} {noun}")

    def unknown(self, said: str) -> str:
        return self.of(said) if self.chance(0.6) else noise.gibberish(self.rng)

    def article(self) -> str:
        return self.rng.choices(["a ", "", "the ", "an ", "one ", "1 ", "1x ", "some ", "this ", "a single "], [58, 15, 12, 3, 4, 2, 1, 1, 1, 1])[0]

    def adjectives(self, thing: Thing, skip: str = "") -> str:
        words = [say(value) for name, say, value in (("size", self.size, thing.size), ("material", lambda _: self.material(thing), thing.material),
                                                     ("colour", self.colour, thing.colour)) if value and name not in skip]
        if self.chance(0.2):
            self.rng.shuffle(words)
        if self.chance(0.1):
            # What a thing is made of tells nothing where its colour is told.
            words.insert(self.rng.randint(0, len(words)), self.pick("wooden", "oak", "stone") if thing.colour and self.chance(0.15) else self.unknown(lexicon.ADJECTIVES))
        glue = self.rng.choices([" ", ", ", " and "], [88, 9, 3])[0]
        return glue.join(words)

    def listed(self, thing: Thing) -> str:
        """ "red, small and shiny" """
        words = [say(value) for say, value in ((self.colour, thing.colour), (self.size, thing.size), (lambda _: self.material(thing), thing.material)) if value]
        self.rng.shuffle(words)
        if len(words) > 1 and self.chance(0.6):
            return ", ".join(words[:-1]) + self.pick(" and ", ", and ") + words[-1]
        return self.pick(", ", " ", ", ").join(words)

    def thing(self, thing: Thing, plain: float = 0.6) -> str:
        """A noun phrase."""
        if not thing.size and not thing.material and self.chance(0.01) and (signs := lexicon.SIGNS.get((thing.colour, thing.shape))):
            return f"{self.article()}{self.pick(*signs)}"
        if self.chance(0.12) and (told := self.telling(thing)):
            return told
        if self.chance(0.09) and (known := self.familiar(thing)):
            return known
        way = 0 if self.chance(plain) else self.rng.randint(1, 15)
        article, noun = self.article(), self.noun(thing.shape, bare=not thing.colour)
        if way == 0 or thing.shape is None and way > 5:
            return _tidy(f"{article}{self.adjectives(thing)} {noun}")
        if way == 1 and thing.colour:
            how = self.pick("in", "in", "coloured", "colored", "painted", "painted in", "of colour", "of color", "in the colour", "tinted", "dyed", "with the color")
            return _tidy(f"{article}{self.adjectives(thing, 'colour')} {noun} {how} {self.colour(thing.colour)}")
        if way == 2 and (thing.colour or thing.size or thing.material):
            return _tidy(f"{article}{noun} {self.pick('that is', 'which is', 'that’s', 'which looks', 'being', 'that looks')} {self.listed(thing)}")
        if way == 3 and thing.colour:
            how = self.pick("whose colour is", "whose color is", "with the colour", "having the colour", "of the colour", "the colour of which is", "its colour is", "with color")
            return _tidy(f"{article}{self.adjectives(thing, 'colour')} {noun} {how} {self.colour(thing.colour)}")
        if way == 4 and thing.material:
            how = f"with {self.of(lexicon.SURFACES[thing.material])}" if self.chance(0.5) else f"{self.pick('made of', 'of', 'made out of', 'made from', 'in', 'built of')} {self.silent(thing, lexicon.STUFF)}"
            return _tidy(f"{article}{self.adjectives(thing, 'material')} {noun} {how}")
        if way == 5 and thing.material and thing.colour:
            stuff = self.of(lexicon.STUFF[thing.material])
            return _tidy(f"{article}{self.adjectives(thing, 'material colour')} {noun} {self.pick('made of', 'of', 'in', 'made from')} "
                         + (f"{stuff.rsplit(' ', 1)[0]} {self.colour(thing.colour)} {stuff.rsplit(' ', 1)[-1]}" if " " in stuff else f"{self.colour(thing.colour)} {stuff}"))
        if way == 6:
            return _tidy(f"{article}{noun} ({self.listed(thing)})")
        if way == 7:
            return _tidy(f"{article}{noun}, {self.listed(thing)}")
        if way == 8:
            return _tidy(f"{noun} {self.listed(thing)}")
        if way == 9 and thing.colour:
            return _tidy(f"{article}{self.adjectives(thing, 'colour')} {self.of(lexicon.COLOURS[thing.colour], 0.6)}{self.pick('-coloured', '-colored', ' coloured', ' colored', '-painted', ' painted')} {noun}")
        if way == 10 and thing.size:
            return _tidy(f"{article}{self.adjectives(thing, 'size')} {noun} {self.pick('that is', 'of', 'which is', 'in', 'with a')} {self.size(thing.size)}{self.pick('', ' size', ' in size')}")
        if way == 11:
            return _tidy(f"{article}{noun}: {self.listed(thing)}")
        if way == 12 and thing.colour:
            return _tidy(f"{article}{self.colour(thing.colour)}, {self.adjectives(thing, 'colour')} {noun}")
        if way == 13 and thing.colour:
            unlike, colour = self.colour(self.drawn().colour), self.colour(thing.colour)
            said = self.pick(f" that is anything but {unlike}: {colour}", f", not {unlike} but {colour}", f", {colour}, not {unlike}", f" that is {colour}, not {unlike}", f" in {colour} instead of {unlike}", f" that isn't {unlike} but {colour}", f", {colour} and not {unlike}")
            return _tidy(f"{article}{self.adjectives(thing, 'colour')} {noun}{said}") if unlike != colour else f"{article}{colour} {noun}"
        if way in (14, 15) and (thing.size or thing.material):
            name = "size" if thing.size and (way == 14 or not thing.material) else "material"
            unlike = self.of((lexicon.UNLIKE_SIZES if name == "size" else lexicon.UNLIKE_MATERIALS)[getattr(thing, name)])
            how = self.pick(" that is not", " that isn't", " which is not", ", not", " but not", ", but not", " that's not", ", not too", " that isn't too", " which isn't very")
            return _tidy(f"{article}{self.adjectives(thing, name)} {noun}{how} {unlike}")
        return _tidy(f"{article}{self.adjectives(thing)} {noun}")

    def another(self, thing: Thing, said: Thing) -> str:
        """A noun phrase, after another thing has been named: where both are of one shape, "one" will do."""
        if thing.shape is None or thing.shape != said.shape or not thing.colour or self.chance(0.5):
            return self.thing(thing, 0.8)
        words = self.adjectives(thing)
        bare = replace(thing, colour=None)
        return _tidy(self.rng.choice([
            lambda: f"a {words} one", lambda: f"a {words} one", lambda: f"a {words} one", lambda: f"the {words} one", lambda: f"one {words} one", lambda: f"another {words} one", lambda: f"one {words}", lambda: f"another {words}", lambda: f"{words} one",
            lambda: f"a {self.adjectives(bare)} one in {self.colour(thing.colour)}", lambda: f"another in {self.colour(thing.colour)}" if bare == Thing(thing.shape, None) else f"a {words} one",
        ])())

    def sentence(self, thing: Thing) -> str:
        """Of one thing, in more than a noun phrase."""
        noun, said = self.noun(thing.shape, bare=not thing.colour), self.listed(thing)
        colour, shape = self.colour(thing.colour) if thing.colour else "", self.noun(thing.shape, bare=not thing.colour)
        other = self.drawn()
        while other.shape == thing.shape:
            other = self.drawn()
        unlike = self.pick(self.noun(other.shape), f"{self.colour(other.colour)} {self.noun(other.shape)}")
        size = f", size: {self.size(thing.size)}" if thing.size else ""
        material = f", material: {self.material(thing)}" if thing.material else ""
        fields = [(name, word) for name, word in (("shape", shape), (self.pick("color", "colour"), colour), ("size", thing.size and self.size(thing.size)), ("material", thing.material and self.material(thing))) if word]
        parts = [part for part in (noun, *said.replace(" and ", ", ").split(", ")) if part]
        return self.rng.choice([
            lambda: self.pick("{%s}", "%s").replace("%s", ", ".join(f'"{name}": "{word}"' for name, word in fields)),
            lambda: self.pick(" ", ", ", "; ").join(name + self.pick("=", ":") + word for name, word in fields),
            lambda: self.pick(" | ", "; ", "/", ", ", " - ", "|").join(self.rng.sample(parts, len(parts))),
            lambda: f"the {noun} is {said}", lambda: f"a {noun}. it is {said}", lambda: f"{noun}. {said}", lambda: f"there is a {noun}. it's {said}",
            lambda: f"a {noun} and it is {said}", lambda: f"{self.pick('color', 'colour')}: {colour}, shape: {shape}{size}{material}" if colour else f"shape: {shape}{size}{material}",
            lambda: f"shape: {shape}, {self.pick('color', 'colour')}: {colour}{size}{material}" if colour else f"{shape}{size}{material}",
            lambda: f"the {self.pick('colour', 'color')} is {colour}, the shape is a {shape}{size}{material}" if colour else f"the shape is a {shape}",
            lambda: ". ".join(self.rng.sample(parts, len(parts))),
            lambda: f"no objects but {self.thing(thing)}", lambda: f"nothing but {self.thing(thing)}", lambda: f"only {self.thing(thing)}", lambda: f"just {self.thing(thing)}",
            lambda: f"{self.thing(thing)} {self.pick('without', 'with no', 'and no', 'but no')} other {self.pick('objects', 'things', 'shapes', 'object')}",
            lambda: f"{self.thing(thing)} and {self.pick('nothing else', 'nothing more', 'that is all', 'no more', 'nothing besides')}",
            *[lambda: self.pick(f"not a {unlike}, {self.thing(thing)}", f"no {self.noun(other.shape, True)}{self.pick(' please', '', '')}, {self.pick('only', 'just', 'but', 'instead')} {self.thing(thing)}", f"I {self.pick('do not', 'don’t', 'dont')} want a {unlike}, {self.pick('i want', 'give me', 'draw')} {self.thing(thing)}",
                                f"{self.thing(thing)} rather than a {unlike}", f"not {self.noun(other.shape, True)} but {self.thing(thing)}", f"instead of a {unlike}, {self.thing(thing)}", f"neither {self.colour(other.colour)} nor {self.pick(*(c for c in COLOURS if c != thing.colour))}: {self.thing(thing)}" if other.colour != thing.colour else f"nothing but {self.thing(thing)}")] * 2,
            lambda: self.pick(f"{self.pick('something', 'anything')} {said} and {self.pick('round', 'spherical')}" if thing.shape == "sphere" and said else f"{self.pick('something', 'a picture', 'anything', 'a scene', 'an image')} with {self.thing(thing)}{self.pick('', ' in it', ' on it')}",
                              f"{self.pick('what does', 'how does')} {self.thing(thing)} {self.pick('look like', 'look')}", f"{self.pick('how about', 'what about', 'maybe')} {self.thing(thing)}", f"{self.thing(thing)}, {self.pick('would you', 'could you', 'if you can', 'ok', 'will you', 'right')}"),
            lambda: self.pick(f"no {unlike}, only {self.thing(thing)}", f"not a {unlike} but {self.thing(thing)}", f"{self.thing(thing)}, not a {unlike}", f"{self.thing(thing)} instead of a {unlike}", f"{self.thing(thing)} without a {unlike}"),
            lambda: f"{said}: a {noun}", lambda: f"{said} {noun}", lambda: f"one object: {self.thing(thing)}", lambda: f"{self.thing(thing)} {self.pick('standing', 'lying', 'sitting', 'resting')} {self.pick('there', 'alone', 'by itself', 'in the middle')}",
        ])()

    # Several things.
    def various(self, thing: Thing, count: int) -> str:
        """Things of which only their number is told, and that they are not alike: all of one shape, or else of one colour or none."""
        number = self.pick("two", "two", "2", "a pair of", "a couple of") if count == 2 else self.pick("three", "three", "three", "3", "a trio of", "some", "several", "a group of three", "a set of three", "a row of three")
        each, kinds = self.pick(", each", ", each one", ", each of them", ", every one"), self.pick("objects", "shapes", "things", "solids", "toys", "forms")
        if thing.shape:
            nouns = _tidy(f"{self.adjectives(thing)} {self.noun(thing.shape, True, bare=True)}")
            colours = self.pick("colors", "colours")
            return _tidy(self.pick(f"{number} {nouns} {self.pick('in', 'of', 'with', 'that have')} {self.pick('different', 'various', 'differing', 'distinct', 'several', 'other', 'random', 'mixed')} {colours}", f"{number} {self.pick('different', 'differently', 'variously')} {self.pick('colored', 'coloured')} {nouns}", f"{number} {nouns}, {self.pick('', 'all ', 'all of them ', 'all in ')}different {colours}",
                                   f"{number} {nouns}{each} {self.pick('', 'in ', 'with ', 'of ')}a different {self.pick('color', 'colour')}", f"{number} {self.pick('multicolored', 'multicoloured', 'colorful', 'colourful', 'rainbow', 'many-coloured')} {nouns}", f"a rainbow of {number} {nouns}", f"{number} {nouns}, not {self.pick('all ', '')}the same {self.pick('color', 'colour')}",
                                   f"{nouns} in different {colours}" if count == 3 else f"{number} {nouns}, no two of one {self.pick('color', 'colour')}", f"{number} rgb {nouns}" if count == 3 else f"{number} {nouns} of different {colours}"))
        words = self.listed(thing)
        return _tidy(self.pick(f"{number} different {words} {kinds}", f"{number} {words} {kinds} of different {self.pick('shapes', 'kinds', 'forms', 'types')}", f"{number} {words} {kinds}{each} of a different {self.pick('shape', 'kind', 'form')}", f"{number} different {kinds}" + (f", all {words}" if words else ""),
                               f"{number} {self.pick('various', 'distinct')} {words} {self.pick('solids', 'shapes', 'geometric shapes', 'geometric solids')}"))

    def group(self, things: list[Thing]) -> str:
        """Things of which all that matters is that they are there."""
        a = things[0]
        if len(things) > 1 and all(thing == a for thing in things):
            return self.many(a, len(things))
        if len(things) == 2:
            return self.pair(*things)
        if len(things) == 3:
            return self.triple(*things)
        return self.thing(a)

    def many(self, thing: Thing, count: int) -> str:
        adjectives = (self.chance(0.09) and self.familiar(thing, True)) or _tidy(f"{self.adjectives(thing)} {self.noun(thing.shape, True, not thing.colour)}")
        if count == 3 and self.chance(0.12):
            return adjectives  # a plural without a number
        number = self.of(lexicon.NUMBERS[count])
        return self.rng.choice([
            lambda: f"{number} {adjectives}", lambda: f"{number} {adjectives}", lambda: f"{number} {adjectives}",
            lambda: f"{number} {self.noun(thing.shape, True, not thing.colour)}, {self.pick('all', 'all of them', 'each', 'every one', 'both' if count == 2 else 'all three')} {self.listed(thing)}",
            lambda: f"{number} {self.noun(thing.shape, True)} in {self.colour(thing.colour)}" if thing.colour and not thing.size and not thing.material else f"{number} {adjectives}",
            lambda: self.pick(f"{count}x {self.adjectives(thing)} {self.noun(thing.shape)}", f"{count} x {self.adjectives(thing)} {self.noun(thing.shape)}", f"{self.adjectives(thing)} {self.noun(thing.shape)} x{count}", f"{self.adjectives(thing)} {self.noun(thing.shape)} x {count}", f"{adjectives} ({count})"),
            lambda: f"{number} {adjectives} {self.pick('next to each other', 'side by side', 'in a row', 'together', 'beside each other', 'close together', 'apart', 'of the same kind', 'that look alike')}",
            lambda: self.pick(" and ", ", ").join([self.thing(thing, 0.9)] * count) if count == 2 else " ".join([self.thing(thing, 0.9)] * 3) if self.chance(0.3) else ", ".join([self.thing(thing, 0.9)] * 2) + self.pick(" and ", ", ") + self.thing(thing, 0.9),
            lambda: self.pick(f"{self.thing(thing, 0.9)} and another {self.pick('one', 'one just like it', self.noun(thing.shape))}", f"{self.thing(thing, 0.9)} {self.pick('and', 'with', 'next to', 'beside')} {self.pick('its twin', 'its copy', 'a copy of it', 'its clone', 'its double', 'the same again', 'a second one')}") if count == 2 else f"{self.thing(thing, 0.9)}, {self.pick('another one', 'a second one')} and {self.pick('another one', 'a third one', 'one more')}",
        ])()

    def shared(self, things: list[Thing]) -> tuple[Thing, list[Thing]]:
        """What all have in common, and what is each one's own."""
        names = [name for name in ("shape", "colour", "size", "material") if len({getattr(thing, name) for thing in things}) == 1]
        common = Thing(**{name: getattr(things[0], name) if name in names else None for name in ("shape", "colour", "size", "material")})
        return common, [replace(thing, **{name: None for name in names}) for thing in things]

    def pair(self, a: Thing, b: Thing) -> str:
        common, (own_a, own_b) = self.shared([a, b])
        if a.shape and a.shape == b.shape and self.chance(0.7) and all(own.colour or own.size or own.material for own in (own_a, own_b)):
            nouns = _tidy(f"{self.of(lexicon.NUMBERS[2])} {self.adjectives(common)} {self.noun(a.shape, True)}")
            one, other = self.adjectives(own_a), self.adjectives(own_b)
            return self.rng.choice([
                lambda: f"{nouns}, a {one} one and a {other} one", lambda: f"{nouns}, one {one} and one {other}", lambda: f"{nouns}, one {one}, the other {other}",
                lambda: f"{nouns}: {one} and {other}", lambda: f"{nouns} ({one} and {other})", lambda: f"{nouns}: one {one} and the other {other}", lambda: f"{nouns}, {one} and {other}",
                lambda: f"{nouns}. the first is {one}, the second is {other}", lambda: f"{nouns}. one is {one}. the other is {other}", lambda: f"{nouns}, one of them {one}, the other one {other}",
                lambda: f"{nouns}. the first one is {one}. the second one is {other}", lambda: f"{nouns}, the first {one}, the second {other}", lambda: f"{nouns}, one is {one}, one is {other}",
                lambda: _tidy(f"a {one} and a {other} {self.adjectives(common)} {self.noun(a.shape)}"), lambda: _tidy(f"{one} and {other} {self.adjectives(common)} {self.noun(a.shape, True)}"),
                lambda: _tidy(f"a {one} {self.adjectives(common)} {self.noun(a.shape)} and {self.pick('a', 'another', 'one', 'the')} {other} one"), lambda: _tidy(f"{one} {self.noun(a.shape)} and {other} one, both {self.adjectives(common)}") if self.adjectives(common) else f"{nouns}: {one}, {other}",
                lambda: f"{nouns}, {one} one and {other} one", lambda: _tidy(f"a {one} {self.noun(a.shape)} and a {other} one, {self.pick('both', 'both of them', 'all', 'each')} {self.listed(replace(common, shape=None))}") if self.adjectives(common) else f"{nouns} - {one} and {other}", lambda: f"{nouns} in {one} and {other}", lambda: f"{nouns}, {one} & {other}",
                lambda: _tidy(f"a {one} one and a {other} one, both {self.adjectives(common)} {self.noun(a.shape, True)}"),
            ])()
        if a.colour and common.colour and not (own_a.size or own_a.material or own_b.size or own_b.material) and self.chance(0.5):
            both = self.listed(common)
            one, other = self.noun(a.shape), self.noun(b.shape)
            return self.pick(f"a {one} and a {other}, both {both}", f"{one} and {other}, both {both}", f"a {one} and a {other}, both of them {both}", f"{self.pick('a', 'both a', 'one')} {one} and a {other}, {both}", f"{both}: {one} and {other}", f"a {one} and a {other} in the same {self.colour(a.colour)}" if not common.size and not common.material else f"{one} and {other}, {both} both", f"both a {one} and a {other} that are {both}", f"a {both} {one} and a {other}{self.pick(' of the same colour', ' of the same color', ', same colour', ' in the same color', f' which is also {both}', f', also {both}', f' that is {both} too')}" if not common.size and not common.material else f"{one} and {other}, both {both}", f"a {both} {one} and a {both} {other} too", f"the {one} and the {other} are both {both}")
        one, other = self.thing(a), self.another(b, a)
        if self.chance(0.3):
            noun_a, noun_b, said_a, said_b = self.noun(a.shape, bare=not a.colour), self.noun(b.shape, bare=not b.colour), self.listed(a), self.listed(b)
            return self.rng.choice([
                lambda: f"a {noun_a}{self.pick(' and ', '. ', ', ')}a {noun_b}{self.pick('. ', '; ', ', ')}the {noun_a} is {said_a}{self.pick('. ', ', ', ' and ')}the {noun_b} {self.pick('is ', 'is ', '')}{said_b}",
                lambda: f"a {noun_a} and a {noun_b}, the {self.pick('former', 'first')} {said_a}, the {self.pick('latter', 'second')} {said_b}",
                lambda: f"{noun_a} and {noun_b}, {said_a} and {said_b}" if said_a.split()[1:] == said_b.split()[1:] == [] else f"{one} and {other}",
                lambda: f"{self.adjectives(a)} {noun_a} {self.adjectives(b)} {noun_b}", lambda: f"{self.adjectives(a)} {noun_a} {self.adjectives(b)} {noun_b}",
                lambda: f"the {self.noun(a.shape)} is {self.listed(a)}{self.pick(', ', '. ', ' and ', ', and ', ' while ', ' but ')}the {self.noun(b.shape)} is {self.listed(b)}",
                lambda: f"two {self.pick('objects', 'things', 'shapes', 'items', 'solids', 'figures')}{self.pick(': ', ', ', ' - ')}{one}{self.pick(' and ', ', ', ', and ')}{other}",
                lambda: f"both {one} and {other}", lambda: f"{one} and {other}{self.pick(', ', ' and ')}{self.pick('nothing else', 'nothing more', 'no others', 'that is all')}",
                lambda: f"one {self.thing(replace(a), 1.0)} and one {self.thing(replace(b), 1.0)}".replace("one a ", "one ").replace("one the ", "one "),
                lambda: f"{self.noun(a.shape)} {self.listed(a)}, {self.noun(b.shape)} {self.listed(b)}", lambda: f"{self.noun(a.shape)} ({self.listed(a)}), {self.noun(b.shape)} ({self.listed(b)})",
                lambda: f"{self.noun(a.shape)}: {self.listed(a)}{self.pick(', ', '; ', '. ')}{self.noun(b.shape)}: {self.listed(b)}",
                lambda: f"the first {self.pick('object', 'thing')} is {one}, the second is {other}", lambda: f"1. {one} 2. {other}", lambda: f"{one}. {other}.",
                lambda: f"{one}{self.pick(' and ', ', ')}{other} {self.pick('side by side', 'next to each other', 'together', 'in one picture', 'close together', 'beside each other')}",
            ])()
        if a.size and b.size and a.size != b.size and self.chance(0.3):
            more = self.pick("bigger", "larger", "taller", "much bigger") if a.size == "large" else self.pick("smaller", "much smaller", "shorter", "tinier")
            return _tidy(f"{self.thing(replace(a, size=None), 0.9)} {self.pick('', 'that is ', 'which is ', 'is ')}{more} than {self.thing(replace(b, size=None), 0.9)}")
        return _tidy(f"{one} {self.placing(0.25)} {self.of(lexicon.BESIDE)} {other}")

    def placing(self, share: float) -> str:
        """ "stands", between a thing and where it is. """
        return self.of(self.pick(lexicon.VERBS, lexicon.PLACED)) if self.chance(share) else ""

    def related(self, form: str, a: Thing, b: Thing) -> tuple[str, bool]:
        """`a` stands to the `form` of `b`. Whether b is named first, too."""
        one, other = self.thing(a, 0.75), self.another(b, a)
        where, its = self.of(lexicon.SIDES[form], 0.3), self.of(lexicon.ITS[form])
        common, (own_a, own_b) = self.shared([a, b])
        if common.colour and self.chance(0.3):
            one, other, alike = self.thing(replace(own_a, shape=a.shape), 0.9), self.thing(replace(own_b, shape=b.shape), 0.9), replace(common, shape=None)
            both = f"{self.pick(', both', ', both of them', '. both are', ', all', ' and both are')} {self.listed(alike)}"
            return self.rng.choice([lambda: (_tidy(f"{one} {where} {other}{both}"), False), lambda: (_tidy(f"{other} and, {its}, {one}{both}"), True), lambda: (_tidy(f"{other}, {its} {one}{both}"), True)])()
        way = self.rng.random()
        if a.shape and a.shape == b.shape and form in ("left", "right") and self.chance(0.3):
            nouns, there = _tidy(f"{self.of(lexicon.NUMBERS[2])} {self.adjectives(common)} {self.noun(a.shape, True)}"), OPPOSITE[form]
            first, second = self.listed(own_a), self.listed(own_b)
            if first and second:
                return _tidy(self.pick(f"{nouns}, the {form} one {first}, the {there} one {second}", f"{nouns}. the {form} one is {first}, the {there} one is {second}", f"{nouns}, the one on the {form} is {first}, the one on the {there} {second}",
                                       f"{nouns}, {first} on the {form}, {second} on the {there}", f"{nouns}: {first} ({form}) and {second} ({there})", f"{nouns}, a {first} one to the {form} and a {second} one to the {there}",
                                       f"{nouns}, the {form} {first} and the {there} {second}")), False
        if form in ("left", "right") and self.chance(0.08):
            across = self.chance(0.8)
            (first, second), order = ((a, b) if (form == "left") is across else (b, a)), f"{self.pick('from ', 'from ', '')}{'left to right' if across else 'right to left'}"
            named, then = self.thing(first, 0.75), self.another(second, first)
            return self.pick(f"{order}: {named}, {then}", f"{order}: {named}, then {then}", f"{order}, {named} and {then}", f"{named} and {then}, {order}", f"{named}, {then} ({order})"), first is b
        if way < 0.5:
            return _tidy(f"{one} {self.placing(0.4)} {where} {other}"), False
        other, one = self.thing(b, 0.75), self.another(a, b)
        if way < 0.68:  # the place comes first
            return self.rng.choice([
                lambda: f"{where} {other} {self.pick('is', 'there is', 'stands', 'we see', 'sits', 'lies', 'you see', 'there stands', 'can be seen', 'is placed', 'i see')} {one}",
                lambda: f"{where} {other}, {self.pick('', 'there is ', 'a picture of ', 'we see ')}{one}", lambda: f"{where} {other}: {one}",
                lambda: f"{where} {other} there's {one}",
            ])(), True
        if way < 0.9:  # the other one comes first, and then what stands at its side
            return self.rng.choice([
                lambda: f"{other} with {one} {its}", lambda: f"{other}, with {one} {its}", lambda: f"{other} {self.pick('plus', 'and', '&', 'next to', '+')} {one} {its}", lambda: f"{other} and, {its}, {one}", lambda: f"{other}. {its}, {one}", lambda: f"{other}. {its} is {one}",
                lambda: f"{other}. {its}: {one}", lambda: f"{other} has {one} {its}", lambda: f"{other} and {its} {one}", lambda: f"{other}, {its} {one}", lambda: f"{other}, and {its} there is {one}",
                lambda: f"{other}. {its} there is {one}", lambda: f"{other}; {one} {self.pick('is', 'stands', 'sits', 'lies')} {its}", lambda: f"{other}. {one} {self.pick('is', 'stands', 'sits', 'lies')} {its}",
                lambda: f"{other} with {one} {self.placing(1.0)} {its}",
            ])(), True
        if form in ("left", "right") and self.chance(0.2):
            thing, there = self.pick("thing", "object", "one", "shape", "item"), OPPOSITE[form]
            return self.pick(f"the {thing} on the {form} is {one}{self.pick(', ', ' and ', '. ')}the {self.pick(thing, 'one')} on the {there} is {other}",
                             f"the {form} {thing} is {one}{self.pick(', ', ' and ', '. ')}the {there} {self.pick(thing, 'one')} {self.pick('is ', '')}{other}"), False
        first, second, reverse = (one, other, False) if self.chance(0.6) else (other, one, True)
        here = OPPOSITE[form] if reverse else form
        there = OPPOSITE[here]
        said = {"left": self.pick("on the left", "to the left", "left", "at left", "on the left side", "on the left hand side", "at the left", "in the left half", "on the left of the picture"), "right": self.pick("on the right", "to the right", "right", "at right", "on the right side", "at the right", "in the right half", "on the right of the picture"),
                "front": self.pick("in the foreground", "in front", "at the front", "up front", "in the front", "close to us"), "behind": self.pick("in the background", "at the back", "behind", "in the back", "further away")}
        return self.rng.choice([
            lambda: f"{said[here]} {first}{self.pick(', ', ' and ', ', and ', '; ')}{said[there]} {second}", lambda: f"{said[here]}: {first}{self.pick(', ', '. ', '; ', ' ')}{said[there]}: {second}",
            lambda: f"{first} {said[here]}{self.pick(' and ', ', ', ', and ', ' with ')}{second} {said[there]}", lambda: f"{first} {self.pick('is', 'stands')} {said[here]}{self.pick(', ', ' and ', ', and ')}{second} {self.pick('is', 'stands')} {said[there]}",
            lambda: f"{first} ({said[here]}) and {second} ({said[there]})", lambda: f"{said[here]} {self.pick('is', 'there is', 'stands')} {first}{self.pick(', ', ' and ', '. ')}{said[there]} {self.pick('is', 'there is', 'stands')} {second}",
            lambda: f"{first} {said[here]}{self.pick(', ', ' and ')}{second} on the other side" if form in ("left", "right") else f"{first} {said[here]}, {second} {said[there]}",
        ])(), reverse

    def triple(self, a: Thing, b: Thing, c: Thing) -> str:
        common, own = self.shared([a, b, c])
        if a.shape and common.shape and a.colour and c.colour and (a == b or b == c) and self.chance(0.4):
            two, single = (a, c) if a == b else (c, a)
            shape, nouns = self.noun(a.shape), self.noun(a.shape, True)
            shared = {name: None for name in ("size", "material") if getattr(common, name)}
            pair, one = (self.adjectives(replace(each, **shared)) for each in (two, single))
            all_three = _tidy(f"{self.pick('three', 'three', '3', 'a trio of', 'a set of three')} {self.adjectives(replace(common, colour=None))} {nouns}")
            if a == b:
                return self.pick(f"{all_three}, two {pair} and one {one}", f"{all_three}: two {pair}, one {one}", f"{all_three}, two {pair} ones and a {one} one", f"{all_three}. two are {pair}, one is {one}", f"{all_three}, two of them {pair}, {self.pick('the other', 'the third', 'the third one', 'the last', 'one')} {one}",
                                 f"{all_three}: two are {pair} and the {self.pick('other', 'third')} is {one}", f"{all_three}, {pair}, {pair} and {one}", f"{all_three} (2 {pair}, 1 {one})", f"{all_three}, of which two are {pair} and one {one}", f"{all_three}, all {pair} but one, which is {one}")
            return self.pick(f"{all_three}, one {one} and two {pair}", f"{all_three}: one {one}, two {pair}", f"{all_three}, a {one} one and two {pair} ones", f"{all_three}. one is {one}, two are {pair}", f"{all_three}, one of them {one}, {self.pick('the others', 'the other two', 'the rest')} {pair}",
                             f"{all_three}: one is {one} and the {self.pick('others are', 'other two are', 'rest is')} {pair}", f"{all_three}, {one}, {pair} and {pair}", f"{all_three} (1 {one}, 2 {pair})", f"a {one} {shape} between two {pair} ones")
        if a.shape and common.shape and all(each.colour for each in own) and self.chance(0.7):
            nouns = _tidy(f"{self.pick('three', 'three', '3', 'a trio of', 'a set of three', 'some')} {self.adjectives(common)} {self.noun(a.shape, True)}")
            one, two, three = (self.adjectives(each) for each in own)
            return self.pick(f"{nouns}: {one}, {two} and {three}", f"{nouns}, {one}, {two} and {three}", f"{nouns}, one {one}, one {two} and one {three}", f"{nouns} ({one}, {two}, {three})", f"{nouns} in {one}, {two} and {three}",
                             f"{nouns}: a {one} one, a {two} one and a {three} one", _tidy(f"a {one}, a {two} and a {three} {self.adjectives(common)} {self.noun(a.shape)}"), f"{nouns}, the first {one}, the second {two}, the third {three}",
                             _tidy(f"{one}, {two} and {three} {self.adjectives(common)} {self.noun(a.shape, True)}"))
        if common.colour and len({each.shape for each in own}) == 3 and self.chance(0.7):
            one, two, three = (self.thing(replace(each, colour=None), 0.9) if each.shape else self.noun(None) for each in own)
            nouns, said = self.pick(f"{one}, {two} and {three}", f"{one}, {two} and {three}", f"{one}, {two}, {three}", f"{one} and {two} and {three}"), self.listed(replace(common, shape=None))
            return self.pick(f"{nouns}, {self.pick('all', 'all of them', 'each', 'all three', 'all three of them', 'every one')} {said}", f"{nouns}, all in {self.colour(a.colour)}" if not common.size and not common.material else f"{nouns}, {said}", f"{nouns}, {self.pick('they are all', 'all are', 'which are all', 'each of them')} {said}",
                             f"{self.pick('everything is', 'all is', 'all')} {said}: {nouns}", f"{nouns} in {self.colour(a.colour)}" if not common.size and not common.material else f"{nouns} ({said})", f"three {said} {self.pick('objects', 'things', 'shapes')}: {nouns}", f"{nouns}. all of them are {said}")
        beside = self.pick("and", "and", "with", "next to", "beside", "plus", ",", "and also", self.of(lexicon.SIDES[self.pick("left", "right", "front", "behind")]))
        if a == b:
            other = self.another(c, a) if self.chance(0.85) else _tidy(f"{self.of(lexicon.NUMBERS[2])} {self.adjectives(c)} {self.noun(c.shape, True)}")
            # Of more than two there are two, so that there is room for the other one.
            return f"{self.many(a, self.rng.choice([2, 2, 2, 2, 3]))} {beside} {other}"
        if b == c:
            number = self.rng.choice([2, 2, 2, 3])
            ones = _tidy(f"{self.of(lexicon.NUMBERS[number])} {self.adjectives(b)} {self.pick('ones', 'ones', '')}") if a.shape and a.shape == b.shape and b.colour and self.chance(0.6) else self.many(b, number)
            return f"{self.thing(a, 0.8)} {self.pick(beside, 'between')} {ones}"
        one, two, three = self.thing(a, 0.85), self.another(b, a), self.another(c, b)
        if self.chance(0.1):
            count, mark = self.pick("1", "1", "one"), self.pick("", "x", " x")
            return ", ".join(_tidy(f"{count}{mark} {self.adjectives(each)} {self.noun(each.shape, bare=not each.colour)}") for each in (a, b, c))
        more = f", {self.thing(self.drawn(), 0.9)}" if self.chance(0.08) else ""  # a fourth one, which there is no room for
        return self.rng.choice([
            lambda: f"{one}, {two} and {three}{more}", lambda: f"{one}, {two}, and {three}{more}", lambda: f"{one}, {two}, {three}{more}", lambda: f"{one} and {two} and {three}{more}", lambda: f"{one}, {two} and {three}",
            lambda: f"{one} {self.placing(0.3)} between {two} and {three}", lambda: f"{one} with {two} and {three}", lambda: f"{one} next to {two} and {three}", lambda: f"three {self.pick('objects', 'things', 'shapes')}: {one}, {two}{self.pick(' and ', ', ')}{three}",
            lambda: f"{one} on the left, {two} in the {self.pick('middle', 'centre', 'center')} and {three} on the right", lambda: f"on the left {one}, in the {self.pick('middle', 'centre', 'center')} {two}, on the right {three}",
            *[lambda: " ".join(_tidy(f"{self.adjectives(each)} {self.noun(each.shape, bare=not each.colour)}") for each in (a, b, c)) if self.chance(0.7) else f"{one} {two} {three}"] * 2,
            lambda: f"{self.pick('from ', '')}left to right: {one}, {two}, {three}", lambda: f"{one}; {two}; {three}", lambda: f"{one}. {two}. {three}.", lambda: f"{one} & {two} & {three}", lambda: f"{one} + {two} + {three}", lambda: f"{one} {self.of(lexicon.SIDES[self.pick('left', 'right', 'front', 'behind')])} {two} and {three}",
            lambda: f"{one} {self.of(lexicon.BESIDE)} {two} {self.of(lexicon.BESIDE)} {three}", lambda: f"{one} {self.of(lexicon.BESIDE)} {two}, and {three} {self.of(lexicon.ITS[self.pick('left', 'right', 'front', 'behind')])}",
        ])()

    # Whole prompts.
    def heading(self, things: list[Thing]) -> str:
        """ "toys: " """
        shapes = {thing.shape for thing in things}
        kind = self.noun(shapes.pop(), True) if len(shapes) == 1 and None not in shapes and self.chance(0.4) else self.pick("shapes", "objects", "toys", "solids", "things", "figures", "geometric shapes", "simple shapes", "3d shapes")
        return f"{self.unknown(lexicon.ADJECTIVES) if self.chance(0.6) else ''} {kind}{self.pick(': ', ' - ', ': ')}"

    def drawn(self) -> Thing:
        rng = self.rng
        return Thing(rng.choice(SHAPES), rng.choice(COLOURS), rng.choice(SIZES) if self.chance(0.4) else None, rng.choice(MATERIALS) if self.chance(0.3) else None)

    def floor(self, floor: str) -> str:
        colour, ground = self.of(lexicon.FLOORS[floor], 0.45), self.of(lexicon.GROUNDS)
        if floor in lexicon.PLACES and self.chance(0.15):
            return f" {self.of(lexicon.PLACES[floor])}"
        return self.rng.choice([
            lambda: f" {self.pick('on', 'on', 'on', 'on', 'against', 'standing on', 'sitting on', 'resting on', 'over', 'lying on', 'with', 'in front of', 'that stands on', 'placed on', 'rests on', 'stands on', 'is on')} {self.pick('a', 'a', 'a', 'the', 'some', '')} {colour} {ground}",
            lambda: f", {colour} {ground}", lambda: f". {self.pick('the', 'a')} {self.of(lexicon.GROUNDS)} is {colour}" if self.chance(0.7) else f". {colour} {ground}.",
            lambda: f" on {self.pick(floor, {'grey': 'concrete', 'white': 'snow', 'tan': 'sand', 'dark': 'black'}[floor], {'grey': 'gray', 'white': 'white paper', 'tan': 'beige', 'dark': 'asphalt'}[floor])}",
            lambda: f" {self.pick('on', 'against', 'in front of')} a {colour} {ground}", lambda: f" {self.pick('on', 'on', 'on top of')} a {ground} {self.pick('that is', 'which is', 'of', 'made of')} {colour}",
        ])()

    def babble(self) -> str:
        """A sentence that says nothing of the scene."""
        return " ".join(self.pick("a", "the", "of", "in", "with", "by", "and", "on", ",", "an") if self.chance(0.4) else self.unknown(self.pick(lexicon.NOUNS, lexicon.ADJECTIVES, lexicon.AFTER)) for _ in range(self.rng.randint(1, 10)))

    def fillers(self, said: str) -> str:
        if self.chance(0.12):
            return noise.jargon(self.rng) if said is lexicon.AFTER else f"{self.unknown(lexicon.ADJECTIVES)} {self.unknown(lexicon.NOUNS)},"
        if said is lexicon.AFTER and self.chance(0.15):
            return f"{self.pick('in a', 'in the', 'under a', 'by a', 'at the', 'near a', 'under the', 'for a', 'like a', 'as a', 'by')} {self.unknown(lexicon.NOUNS)}"
        return self.of(said) if self.chance(0.85) else " ".join(noise.gibberish(self.rng) for _ in range(self.rng.randint(1, 3)))

    def prompt(self) -> tuple[str, list[int]]:
        """A prompt, lower-cased for the most part, and its meaning."""
        rng = self.rng
        count = rng.choices([0, 1, 2, 3], [5, 27, 44, 24])[0]
        things = [self.drawn() for _ in range(count)]
        for thing in things:
            if self.chance(0.07):
                thing.colour = None
        if count and self.chance(0.06):
            things[0].shape = None
        if count > 1 and self.chance(0.3):  # alike in shape, or in all
            things[1] = replace(things[0]) if self.chance(0.35) else replace(things[1], shape=things[0].shape)
            if count == 3 and self.chance(0.6):
                things[2] = replace(things[1]) if things[1] == things[0] else replace(things[2], shape=things[0].shape)
        elif count == 3 and self.chance(0.35):
            if self.chance(0.5):
                things[2] = replace(things[2], shape=things[1].shape, size=None, material=None)
            things[self.rng.choice([0, 2])] = replace(things[1])
        elif count == 2 and self.chance(0.1) and things[0].colour:
            things[1].colour = things[0].colour
        elif count == 3 and self.chance(0.12) and things[0].colour:
            things = [replace(thing, colour=things[0].colour) for thing in things]
        signs = count > 0 and self.chance(0.03)
        if signs:
            things = [Thing(shape, colour) for colour, shape in rng.choices(list(lexicon.SIGNS), k=1 if self.chance(0.2) else count)]
            things *= count // len(things)
        various = None
        if count > 1 and not signs and self.chance(0.04):
            of, alike = self.drawn(), self.chance(0.7)
            various = replace(of, colour=None) if alike else replace(of, shape=None, colour=of.colour if self.chance(0.5) else None)
            things = [replace(various, colour=colour) for colour in lexicon.VARIOUS[count]] if alike else [replace(various, shape=shape) for shape in SHAPES[:count]]
        floor, form = rng.choice(FLOORS) if self.chance(0.35 if count else 0.4) else None, ["nothing", "one", "and", "three"][count]
        if count == 2 and things[0] != things[1] and not signs and not various and self.chance(0.55):
            form = rng.choice(["left", "right", "left", "right", "front", "behind"])
        foreign = count > 0 and not signs and not various and self.chance(FOREIGN) and all(thing.shape for thing in things)
        if foreign or form in OPPOSITE:
            text, reverse = self.foreigner.say(form, things, floor) if foreign else self.related(form, *things)
            if reverse:
                things.reverse()
                form = OPPOSITE[form]
        elif count == 0:
            text = self.pick("", "an empty room", "nothing", "no objects", noise.gibberish(self.rng), f"a {self.unknown(lexicon.NOUNS)}", "blurry", "low quality, bad", "a picture", "ugly, deformed, watermark, text", self.babble(), self.babble(), self.babble()) if not floor or self.chance(0.3) else ""
        elif various:
            text = self.various(various, count)
        elif signs:
            text = self.pick("", "", " ").join(self.pick(*lexicon.SIGNS[thing.colour, thing.shape]) for thing in things)
        else:
            text = self.sentence(things[0]) if count == 1 and self.chance(0.3) else self.group(things)
        if floor and not foreign:
            said = self.floor(floor)
            if not text:
                text = self.pick(f"a {floor} floor", f"a {self.of(lexicon.FLOORS[floor], 0.3)} {self.of(lexicon.GROUNDS)}", said.strip(" ,."))
            else:
                text = f"{said.strip(' ,.')}{self.pick(', ', ' ', ' there is ', ' stands ', ' we see ', ': ', '. ', ' is ', ' stand ', ' there are ', ' lies ')}{text}" if self.chance(0.08) else text + said
        if count == 1 and not foreign and self.chance(0.04):
            text += f" {self.pick('and', 'with', 'next to', 'beside')} a {self.unknown(lexicon.NOUNS.partition('|object|')[0])}"
        if count and not foreign and self.chance(0.04):
            gone = rng.choice([shape for shape in SHAPES if shape not in {thing.shape or DEFAULT_SHAPE for thing in things}])
            text += f"{self.pick(', no', ', and no', ' but no', ' without', ' without any', ', not any', '. no', ' with no')} {self.noun(gone, True)}"
        if not foreign and count == 1 and self.chance(0.03):
            text += f" {self.pick('on the left', 'on the right', 'in the foreground', 'in the background', 'at the back', 'in the corner', 'on the left side of the picture', 'near us', 'far away', 'to the right')}"
        if self.chance(0.35) and not foreign and (count or self.chance(0.5)):
            text = self.heading(things) + text if self.chance(0.06) else f"{self.fillers(lexicon.BEFORE)} {text}"
        if count == 1 and self.chance(0.015):
            text = f"{self.pick(*lexicon.SIGNS.get((things[0].colour, things[0].shape), ('',)))} {text}"
        if self.chance(0.012) and not foreign:
            text = f"({text}:1.{rng.randint(1, 9)})"
        for _ in range(rng.choices([0, 1, 2, 4], [66, 20, 9, 5])[0] if count or self.chance(0.5) else 0):
            text += f"{self.pick(', ', ', ', ' ', '. ', ' - ')}{self.fillers(lexicon.AFTER)}"
        if self.chance(0.07):
            words = text.split()
            words.insert(rng.randint(0, len(words)), noise.stray(rng))
            text = " ".join(words)
        if self.chance(0.22):
            text = noise.mistype(text, rng)
        if self.chance(0.25):
            text += self.pick(".", "!", "?", "...", " .", "!!")
        return _tidy(text), Asked(form, things, floor).meaning()


@cache
def _familiar(shape: str) -> list[str]:
    return [word for (_, of), said in lexicon.FAMILIAR.items() if of == shape for word in phrases(said)]


def _plural(noun: str) -> str:
    """Of a noun phrase: "bars of gold"."""
    noun, of, stuff = noun.partition(" of ")
    return (lexicon.PLURALS.get(noun) or (noun if noun.endswith("s") else noun + "s")) + of + stuff


def _tidy(text: str) -> str:
    text = " ".join(text.split())
    return text.replace(" ,", ",").replace(" .", ".").replace(" ;", ";").replace("( ", "(").replace(" )", ")").replace("()", "").strip()
