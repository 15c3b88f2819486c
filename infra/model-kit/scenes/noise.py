"""What is in prompts besides their meaning: words that nobody knows, numbers that count nothing, typing errors."""

import random

VOWELS, LETTERS = "aeiou", "abcdefghijklmnopqrstuvwxyz"
# What is written for what is heard, either way.
SOUNDS = [("ph", "f"), ("c", "k"), ("c", "s"), ("s", "z"), ("y", "i"), ("ie", "ei"), ("ee", "ea"), ("ou", "u"), ("er", "re"), ("le", "el"), ("or", "our"), ("ll", "l"), ("tt", "t"), ("ow", "o"), ("ue", "eu"), ("i", "e"), ("a", "e"), ("o", "u")]
NEIGHBOURS = dict(zip("qwertyuiopasdfghjklzxcvbnm", "wq er rt ty yu ui io op p sd df fg gh hj jk kl l xc cv vb bn nm m ws ed rf tg".replace(" ", "")))
EMOJI = "🙂 😀 ✨ 🎨 🔥 ❤️ 👍 🙏 🖼️ 📷 🎁 ⭐ 🧊 🎲 💡 🚀".split()


def gibberish(rng: random.Random) -> str:
    """A word that nobody knows, so that those that the model does not know are nothing to it."""
    if rng.random() < 0.3:
        return "".join(rng.choice(LETTERS) for _ in range(rng.randint(2, 9)))
    parts = [rng.choice("b c d f g h j k l m n p r s t v w z st tr pl ch sh br gr fl th cr sp".split()) + rng.choice("a e i o u ea oo ai y".split()) for _ in range(rng.randint(1, 3))]
    return rng.choice(["", "", "e", "a", "un"]) + "".join(parts) + rng.choice(["", "n", "r", "s", "t", "l", "ng", "ck", "er", "ed", "ing", "ly", "tion", "ic", "st"])


def jargon(rng: random.Random) -> str:
    """Numbers of cameras and settings."""
    n, few = rng.randint(1, 2000), rng.randint(1, 16)
    return rng.choice([f"{n}mm", f"{n} mm lens", f"{n}mm lens", f"f/{few}", f"f{few}.{few}", f"iso {n}", f"iso{n}", f"--ar {few}:{rng.randint(1, 16)}", f"--v {few}", f"--s {n}", f"--seed {n}", f"seed {n}", f"{n}x{n}", f"{n}p", f"{few}k",
                       f"{few}k uhd", f"{few}k resolution", f"steps: {few}", f"cfg {few}", f"{few}:{few}", f"1/{n}s", f"no {n}", f"#{few}", f"version {few}", f"{n} dpi", f"{n} px", f"<lora:{gibberish(rng)}:0.{few}>"])


def stray(rng: random.Random) -> str:
    """Stands anywhere between words."""
    return gibberish(rng) if rng.random() < 0.7 else rng.choice([*EMOJI, *EMOJI, "日本", "–", "#1", "@", "%", "...", "*", "uh", "um", "like", "pls", "plz", "lol", "hey"])


def _slip(word: str, rng: random.Random) -> str:
    at = rng.randint(0 if rng.random() < 0.2 else 1, len(word) - 2)
    heard = [(a, b) for pair in SOUNDS for a, b in (pair, pair[::-1]) if a in word]
    if heard and rng.random() < 0.3:
        return word.replace(*rng.choice(heard), 1)
    return rng.choice([
        word[:at] + word[at + 1:], word[:at] + word[at] + word[at:], word[:at] + word[at + 1] + word[at] + word[at + 2:], word[:at] + word[at + 1] + word[at] + word[at + 2:],
        word[:at] + rng.choice(LETTERS) + word[at + 1:], word[:at] + rng.choice("aeiourstln") + word[at:], word[:at] + NEIGHBOURS[word[at]] + word[at + 1:] if word[at] in NEIGHBOURS else word,
        "".join(letter for n, letter in enumerate(word) if n == 0 or letter not in VOWELS or rng.random() < 0.5), word[:-1],
    ])


def mistype(text: str, rng: random.Random) -> str:
    """Slips of some words: letters left out, said twice, swapped, or written as they sound; two words run together, or a hyphen between them."""
    words = text.split()
    long = [n for n, word in enumerate(words) if len(word) > (3 if rng.random() < 0.7 else 2) and word.isalpha()]
    for n in rng.sample(long, min(len(long), rng.choice([1, 1, 2, 2, 3]))):
        words[n] = _slip(words[n], rng)
        if rng.random() < 0.15 and len(words[n]) > 5:
            words[n] = _slip(words[n], rng)
    if "two" in words and rng.random() < 0.1:
        words[words.index("two")] = rng.choice(["tow", "tw", "two"])
    pairs = [n for n in range(len(words) - 1) if words[n].isalpha() and words[n + 1].isalpha()]
    if pairs and rng.random() < 0.3:
        n, many = rng.choice(pairs), rng.choice([2, 2, 3])
        words[n : n + many] = [rng.choice(["", "", "-", "-", "_", "/"]).join(words[n : n + many])]
    return " ".join(words)
