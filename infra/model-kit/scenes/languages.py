"""A few words of other languages, enough for simple prompts: what is said in them, not how it is said well.

Endings are not made to agree, since a reader need not mind: each form is taken now and then. Accents and capitals are lost before the tokenizer.
"""

import random
from dataclasses import dataclass

from .meaning import Thing
from .words import COLOURS, MATERIALS, SHAPES, SIZES


@dataclass(frozen=True)
class Language:
    """Phrases are parted by "|". Words for shapes, colours, sizes, materials and floors stand in the order of words.py."""

    articles: str
    another: str  # "one", of something that has been named
    shapes: tuple[str, ...]
    plurals: tuple[str, ...]
    colours: tuple[str, ...]
    sizes: tuple[str, ...]
    materials: tuple[str, ...]
    two: str
    three: str
    both: str  # "and"
    beside: str
    sides: dict[str, str]  # "left of"
    its: dict[str, str]  # "to its left"
    floor: str  # with a gap for the colour
    floors: dict[str, str]
    before: str
    after: str
    colour_last: bool  # le cube rouge


LANGUAGES = {
    "german": Language(
        "ein|eine|einen|der|die|das|den|", "einer|eine|eines|ein",
        ("kugel|ball|murmel|kugel", "würfel|wuerfel|block|kiste|quader|schachtel|würfel", "zylinder|dose|röhre|säule|tonne|zylinder", "kegel|pyramide|hütchen|kegel"),
        ("kugeln|bälle|murmeln|kugeln", "würfel|wuerfel|blöcke|kisten|würfel", "zylinder|dosen|röhren|säulen|zylinder", "kegel|pyramiden|hütchen"),
        ("rot|roter|rote|rotes|roten|rote", "grün|grüner|grüne|grünes|grünen|gruener|gruene", "blau|blauer|blaue|blaues|blauen|dunkelblaue", "gelb|gelber|gelbe|gelbes|gelben|goldene|goldener",
         "cyan|türkis|türkiser|türkise|türkisfarbene|hellblau|hellblauer|hellblaue", "lila|violett|violetter|violette|violettes|lilafarbene|rosa", "braun|brauner|braune|braunes|braunen", "grau|grauer|graue|graues|grauen|silberne|silberner"),
        ("klein|kleiner|kleine|kleines|kleinen|winzige|winziger", "groß|großer|große|großes|großen|grosser|grosse|riesige|riesiger"),
        ("matt|matter|matte|mattes|matten|stumpfe", "glänzend|glänzender|glänzende|glänzendes|glänzenden|metallische|metallischer|spiegelnde"),
        "zwei|2|ein paar", "drei|3|mehrere|vier|viele|einige", "und|und|,|mit", "neben|neben|nahe bei|zusammen mit",
        {"left": "links von|links neben|links vom", "right": "rechts von|rechts neben|rechts vom", "front": "vor|vor", "behind": "hinter|hinter"},
        {"left": "links davon|links daneben", "right": "rechts davon|rechts daneben", "front": "davor", "behind": "dahinter"},
        "auf {} boden|auf einem {} boden|auf {} untergrund|vor {} hintergrund|auf einem {} tisch", {"grey": "grauem|grauen", "white": "weißem|weißen|weissen", "tan": "beigem|beigen|sandfarbenen", "dark": "dunklem|dunklen|schwarzen|schwarzem"},
        "ein bild von|ein foto von|zeichne|zeichne mir|male|bitte|zeige mir|ich möchte|ein bild mit|kannst du mir|mach|es gibt|hier ist|foto:|erstelle", "bitte|danke|sehr schön|hohe qualität|fotorealistisch|weiches licht|zeichnen", False),
    "french": Language(
        "un|une|le|la|l ' |", "un|une",
        ("sphère|boule|balle|bille|ballon|sphère", "cube|boîte|bloc|dé|caisse|cube", "cylindre|tube|canette|boîte de conserve|colonne|cylindre", "cône|pyramide|entonnoir|cône"),
        ("sphères|boules|balles|billes|ballons|sphères", "cubes|boîtes|blocs|dés|cubes", "cylindres|tubes|canettes|colonnes|cylindres", "cônes|pyramides|cônes"),
        ("rouge|rouges|rouge|rouge vif", "vert|verte|verts|vertes", "bleu|bleue|bleus|bleues|bleu foncé", "jaune|jaunes|doré|dorée|jaune", "cyan|turquoise|bleu clair|bleu ciel|turquoises", "violet|violette|mauve|violets|violettes|rose|pourpre", "marron|brun|brune|marron|bruns", "gris|grise|grises|argenté|argentée"),
        ("petit|petite|petits|petites|tout petit|toute petite|minuscule", "grand|grande|grands|grandes|gros|grosse|énorme|géant|géante"),
        ("mat|mate|mats|mates|en caoutchouc|terne", "brillant|brillante|brillants|brillantes|métallique|en métal|chromé"),
        "deux|2|une paire de|deux", "trois|3|plusieurs|quatre|des", "et|et|,|avec", "à côté de|à côté d'|près de|à côté du",
        {"left": "à gauche de|à gauche du|à gauche d'", "right": "à droite de|à droite du|à droite d'", "front": "devant|devant", "behind": "derrière|derrière"},
        {"left": "à sa gauche|à gauche", "right": "à sa droite|à droite", "front": "devant", "behind": "derrière"},
        "sur un sol {}|sur fond {}|sur une surface {}|sur une table {}|sur le sol {}", {"grey": "gris|grise", "white": "blanc|blanche", "tan": "beige|de sable", "dark": "noir|sombre|noire"},
        "une image de|une photo de|une photo d'|une image d'|dessine|dessine-moi|je veux|montre-moi|il y a|voici|peux-tu dessiner|fais|un dessin de|crée", "s'il te plaît|s'il vous plaît|merci|haute qualité|réaliste|lumière douce", True),
    "spanish": Language(
        "un|una|el|la|", "uno|una",
        ("esfera|bola|pelota|canica|balón|esfera", "cubo|caja|bloque|dado|cubo", "cilindro|tubo|lata|columna|cilindro", "cono|pirámide|embudo|cono"),
        ("esferas|bolas|pelotas|canicas|esferas", "cubos|cajas|bloques|dados|cubos", "cilindros|tubos|latas|columnas|cilindros", "conos|pirámides|conos"),
        ("rojo|roja|rojos|rojas", "verde|verdes", "azul|azules|azul oscuro", "amarillo|amarilla|amarillos|amarillas|dorado|dorada", "cian|turquesa|celeste|azul claro", "morado|morada|violeta|púrpura|morados|moradas|lila|rosa", "marrón|marrones|café|castaño", "gris|grises|plateado|plateada"),
        ("pequeño|pequeña|pequeños|pequeñas|chico|diminuto|diminuta|pequeñita", "grande|grandes|gran|enorme|gigante"),
        ("mate|mates|opaco|opaca|de goma", "brillante|brillantes|metálico|metálica|de metal|reluciente"),
        "dos|2|un par de|dos", "tres|3|varios|varias|cuatro|muchos|unos", "y|y|,|con", "junto a|al lado de|al lado del|cerca de",
        {"left": "a la izquierda de|a la izquierda del|a la izquierda de", "right": "a la derecha de|a la derecha del|a la derecha de", "front": "delante de|delante del|frente a|en frente de", "behind": "detrás de|detrás del|atrás de"},
        {"left": "a su izquierda|a la izquierda", "right": "a su derecha|a la derecha", "front": "delante", "behind": "detrás"},
        "sobre un suelo {}|sobre fondo {}|en un piso {}|sobre una mesa {}|sobre una superficie {}", {"grey": "gris", "white": "blanco|blanca", "tan": "beige|arena", "dark": "negro|oscuro|negra|oscura"},
        "una imagen de|una foto de|dibuja|dibújame|quiero|muéstrame|hay|por favor|un dibujo de|haz|crea|puedes dibujar|quiero ver", "por favor|gracias|alta calidad|realista|luz suave", True),
    "italian": Language(
        "un|una|uno|il|la|lo|", "uno|una",
        ("sfera|palla|pallina|biglia|sfera", "cubo|scatola|blocco|dado|cubo", "cilindro|tubo|lattina|colonna|cilindro", "cono|piramide|cono"),
        ("sfere|palle|palline|biglie|sfere", "cubi|scatole|blocchi|dadi|cubi", "cilindri|tubi|lattine|colonne|cilindri", "coni|piramidi|coni"),
        ("rosso|rossa|rossi|rosse", "verde|verdi", "blu|blu|blu scuro", "giallo|gialla|gialli|gialle|dorato|dorata", "ciano|turchese|azzurro|azzurra|celeste", "viola|viola|porpora|lilla|rosa", "marrone|marroni|bruno", "grigio|grigia|grigi|grigie|argentato"),
        ("piccolo|piccola|piccoli|piccole|minuscolo|piccolissima", "grande|grandi|grosso|grossa|enorme|gigante"),
        ("opaco|opaca|opachi|di gomma", "lucido|lucida|lucidi|lucide|brillante|metallico|metallica|di metallo"),
        "due|2|un paio di|due", "tre|3|alcuni|alcune|quattro|molti|dei", "e|e|,|con|ed", "accanto a|vicino a|di fianco a|accanto al",
        {"left": "a sinistra di|a sinistra del|a sinistra della", "right": "a destra di|a destra del|a destra della", "front": "davanti a|davanti al|davanti alla|di fronte a", "behind": "dietro|dietro a|dietro al"},
        {"left": "alla sua sinistra|a sinistra", "right": "alla sua destra|a destra", "front": "davanti", "behind": "dietro"},
        "su un pavimento {}|su sfondo {}|su un tavolo {}|su una superficie {}", {"grey": "grigio|grigia", "white": "bianco|bianca", "tan": "beige|sabbia", "dark": "nero|scuro|nera|scura"},
        "un'immagine di|una foto di|disegna|disegnami|voglio|mostrami|c'è|ci sono|un disegno di|fammi|crea|vorrei", "per favore|grazie|alta qualità|realistico|luce morbida", True),
    "dutch": Language(
        "een|de|het|een|", "een|eentje",
        ("bol|bal|knikker|bol", "kubus|blok|doos|dobbelsteen|kubus", "cilinder|blik|buis|koker|cilinder", "kegel|piramide|kegel"),
        ("bollen|ballen|knikkers|bollen", "kubussen|blokken|dozen|dobbelstenen", "cilinders|blikken|buizen", "kegels|piramides"),
        ("rood|rode", "groen|groene", "blauw|blauwe|donkerblauwe", "geel|gele|gouden", "cyaan|turquoise|lichtblauw|lichtblauwe", "paars|paarse|violet|lila|roze", "bruin|bruine", "grijs|grijze|zilveren"),
        ("klein|kleine|piepkleine", "groot|grote|enorme|reusachtige"),
        ("mat|matte|doffe|rubberen", "glanzend|glanzende|metalen|glimmende"),
        "twee|2|een paar", "drie|3|enkele|vier|veel", "en|en|,|met", "naast|naast|bij|dicht bij",
        {"left": "links van", "right": "rechts van", "front": "voor|voor", "behind": "achter|achter"},
        {"left": "links daarvan|links ervan", "right": "rechts daarvan|rechts ervan", "front": "ervoor", "behind": "erachter"},
        "op een {} vloer|op een {} ondergrond|tegen een {} achtergrond|op een {} tafel", {"grey": "grijze", "white": "witte", "tan": "beige|zandkleurige", "dark": "donkere|zwarte"},
        "een foto van|een afbeelding van|teken|teken een|ik wil|laat zien|er is|maak|kun je tekenen|een tekening van", "alsjeblieft|bedankt|hoge kwaliteit|realistisch|zacht licht", False),
    "portuguese": Language(
        "um|uma|o|a|", "um|uma",
        ("esfera|bola|bolinha|esfera", "cubo|caixa|bloco|dado|cubo", "cilindro|tubo|lata|coluna|cilindro", "cone|pirâmide|cone"),
        ("esferas|bolas|bolinhas|esferas", "cubos|caixas|blocos|dados|cubos", "cilindros|tubos|latas|cilindros", "cones|pirâmides|cones"),
        ("vermelho|vermelha|vermelhos|vermelhas", "verde|verdes", "azul|azuis|azul escuro", "amarelo|amarela|amarelos|amarelas|dourado|dourada", "ciano|turquesa|azul claro", "roxo|roxa|roxos|roxas|violeta|lilás|rosa", "marrom|castanho|castanha|marrons", "cinza|cinzento|cinzenta|prateado|prateada"),
        ("pequeno|pequena|pequenos|pequenas|minúsculo|minúscula", "grande|grandes|enorme|gigante"),
        ("fosco|fosca|foscos|de borracha|mate", "brilhante|brilhantes|metálico|metálica|de metal"),
        "dois|duas|2|um par de", "três|3|vários|várias|quatro|muitos", "e|e|,|com", "ao lado de|ao lado do|perto de|junto a",
        {"left": "à esquerda de|à esquerda do|à esquerda da", "right": "à direita de|à direita do|à direita da", "front": "na frente de|na frente do|em frente de|diante de", "behind": "atrás de|atrás do|atrás da"},
        {"left": "à sua esquerda|à esquerda", "right": "à sua direita|à direita", "front": "na frente", "behind": "atrás"},
        "sobre um chão {}|em um piso {}|num fundo {}|sobre uma mesa {}", {"grey": "cinza|cinzento", "white": "branco|branca", "tan": "bege|de areia", "dark": "preto|escuro|preta|escura"},
        "uma imagem de|uma foto de|desenhe|desenha|quero|mostre-me|há|por favor|um desenho de|faça|crie", "por favor|obrigado|alta qualidade|realista|luz suave", True),
}


class Foreigner:
    """Says things in one of the languages."""

    def __init__(self, rng: random.Random):
        self.rng = rng

    def of(self, said: str) -> str:
        return self.rng.choice(said.split("|"))

    def words(self, language: Language, thing: Thing, noun: str) -> str:
        colour = self.of(language.colours[COLOURS.index(thing.colour)]) if thing.colour else ""
        size = self.of(language.sizes[SIZES.index(thing.size)]) if thing.size else ""
        material = self.of(language.materials[MATERIALS.index(thing.material)]) if thing.material else ""
        if not language.colour_last and self.rng.random() < 0.92:
            return f"{size} {material} {colour} {noun}"
        return f"{size} {noun} {colour} {material}" if self.rng.random() < 0.6 else f"{noun} {self.rng.choice([f'{colour} {size}', f'{size} {colour}'])} {material}"

    def thing(self, language: Language, thing: Thing, said: Thing | None = None) -> str:
        """`said`: what has been named before it. A second red cube is "a red one", if that is of another colour."""
        if said and said.shape == thing.shape and thing.colour and thing.colour != said.colour and self.rng.random() < 0.4:
            return self.words(language, thing, "") if self.rng.random() < 0.2 else f"{self.of(language.another)} {self.words(language, thing, '')}"
        return f"{self.of(language.articles)} {self.words(language, thing, self.of(language.shapes[SHAPES.index(thing.shape)]))}"

    def many(self, language: Language, thing: Thing, count: int) -> str:
        return f"{self.of(language.two if count == 2 else language.three)} {self.words(language, thing, self.of(language.plurals[SHAPES.index(thing.shape)]))}"

    def say(self, form: str, things: list[Thing], floor: str | None) -> tuple[str, bool]:
        """Whether the second one is named first, too."""
        language, reverse = self.rng.choice(list(LANGUAGES.values())), False
        joined = self.of(language.both)
        if len(things) == 1:
            text = self.thing(language, things[0])
        elif all(thing == things[0] for thing in things):
            text = self.many(language, things[0], len(things))
        elif form == "three" and things[0] == things[1]:
            text = f"{self.many(language, things[0], 2)} {joined} {self.thing(language, things[2], things[0])}"
        elif form == "three" and things[1] == things[2]:
            text = f"{self.thing(language, things[0])} {joined} {self.many(language, things[1], 2)}"
        elif form == "three":
            one, two, three = (self.thing(language, thing, things[0]) for thing in things)
            text = f"{one}, {two} {joined} {three}" if self.rng.random() < 0.8 else f"{one} {joined} {two} {joined} {three}"
        elif form == "and":
            text = f"{self.thing(language, things[0])} {joined if self.rng.random() < 0.7 else self.of(language.beside)} {self.thing(language, things[1], things[0])}"
        elif self.rng.random() < 0.7:
            text = f"{self.thing(language, things[0])} {self.of(language.sides[form])} {self.thing(language, things[1], things[0])}"
        else:
            reverse = True
            text = f"{self.thing(language, things[1])} {self.rng.choice(['', ',', joined])} {self.of(language.its[form])} {self.thing(language, things[0], things[1])}"
        if floor:
            text += f" {self.of(language.floor).format(self.of(language.floors[floor]))}"
        if self.rng.random() < 0.3:
            text = f"{self.of(language.before)} {text}"
        if self.rng.random() < 0.1:
            text += f"{self.rng.choice([', ', ' '])}{self.of(language.after)}"
        return text, reverse
