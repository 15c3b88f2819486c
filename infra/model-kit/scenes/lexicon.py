"""What people call the things of this world: for each word of the captions, others that mean it or come nearest to it.

Lists are of phrases, the captions' own word first; plurals of shapes are made by adding "s" where they are not said.
"""

from functools import cache

SHAPES = {
    "sphere": "sphere|ball|orb|globe|marble|bead|bubble|spheroid|round object|round thing|round ball|spherical object|spherical shape|ball-shaped object|sphere-shaped thing|billiard ball|round sphere|tennis ball|football|basketball|beach ball|bowling ball|toy ball|christmas ball|pearl|balloon|snooker ball|ping pong ball|ball-like object|ball-like thing|circle|dot",
    "cube": "cube|box|block|brick|dice|die|crate|cuboid|square box|square block|cubic object|cubical object|cubic block|cube-shaped object|box-shaped thing|toy block|building block|square|rubik's cube|lego brick|wooden block|gift box|parcel|package|chest|ice cube|sugar cube|voxel|minecraft block|hexahedron|toy box|box-like object|block-like shape|rectangle|rectangular box",
    "cylinder": "cylinder|tube|can|tin can|tin|pipe|drum|barrel|column|pillar|canister|cylindrical object|cylindrical shape|tube-shaped thing|cylinder-shaped object|soda can|roll|round pillar|rod|keg|beer keg|oil drum|beer can|coke can|jar|paint can|log|bucket|coin stack|post|barrel-like object|tube-like object|barrel-like cylinder|disc|disk|puck",
    "cone": "cone|traffic cone|conical object|cone-shaped object|conical shape|pyramid|funnel|spike|party hat|cone-shaped thing|pointed cone|pointy hat|triangle|ice cream cone|road cone|tipi|tent|wizard hat|christmas tree|volcano",
}
PLURALS = {"box": "boxes", "square box": "square boxes", "rectangular box": "rectangular boxes", "cardboard box": "cardboard boxes", "dice": "dice", "die": "dice", "cherry": "cherries", "strawberry": "strawberries", "blueberry": "blueberries", "tomato": "tomatoes", "potato": "potatoes"}
ODD = {"sphere": 0.27, "cube": 0.27, "cylinder": 0.54, "cone": 0.54}  # share of each shape's words after its first two

COLOURS = {
    "red": "red|crimson|scarlet|ruby|ruby red|cherry red|cherry|vermilion|bright red|dark red|deep red|blood red|maroon|reddish|tomato|rose|burgundy|wine red|fiery red",
    "green": "green|emerald|emerald green|lime|lime green|olive|olive green|forest green|jade|greenish|grass green|bright green|dark green|light green|mint green|mint|leaf green|moss",
    "blue": "blue|navy|navy blue|azure|sapphire|cobalt|cobalt blue|royal blue|dark blue|deep blue|bright blue|indigo|bluish|ultramarine|ocean blue|denim|midnight blue",
    "yellow": "yellow|golden|gold|lemon|lemon yellow|amber|mustard|canary yellow|yellowish|bright yellow|light yellow|sunny yellow|banana|orange|golden yellow|ochre|blond",
    "cyan": "cyan|turquoise|aqua|teal|aquamarine|light blue|sky blue|baby blue|pale blue|cerulean|bright cyan|cyan blue|blue-green|ice blue",
    "purple": "purple|violet|magenta|lilac|lavender|mauve|plum|pink|fuchsia|purplish|amethyst|orchid|dark purple|light purple|bright purple|hot pink|deep violet",
    "brown": "brown|chocolate|chocolate brown|chestnut|coffee|coffee brown|brownish|mahogany|bronze|copper|rust|sienna|dark brown|light brown|walnut|hazel|umber|cocoa|earth brown",
    "gray": "gray|grey|silver|slate|slate grey|slate gray|ash|ash gray|charcoal|greyish|grayish|graphite|light gray|dark grey|light grey|dark gray|steel grey|silvery|black|white|colourless|lead",
}
# Colour and shape: emoji.
SIGNS = {
    ("red", "sphere"): "🔴", ("green", "sphere"): "🟢", ("blue", "sphere"): "🔵", ("yellow", "sphere"): "🟡🟠", ("purple", "sphere"): "🟣", ("brown", "sphere"): "🟤", ("gray", "sphere"): "⚫⚪",
    ("red", "cube"): "🟥", ("green", "cube"): "🟩", ("blue", "cube"): "🟦", ("yellow", "cube"): "🟨🟧", ("purple", "cube"): "🟪", ("brown", "cube"): "🟫", ("gray", "cube"): "⬛⬜", ("red", "cone"): "🔺",
}
SIZES = {
    "large": "large|big|huge|enormous|giant|gigantic|massive|great|oversized|very large|really big|very big|tall|jumbo|sizable|bulky|larger|bigger|largest|biggest|large-sized|quite large|immense|colossal|great big|wide|fat|humongous|gargantuan|mega",
    "small": "small|little|tiny|miniature|mini|petite|very small|really small|very little|wee|teeny|teeny tiny|diminutive|minute|smaller|smallest|short|compact|small-sized|quite small|tiniest|littlest|itty bitty|micro|baby|lil",
}
MATERIALS = {
    "shiny": "shiny|glossy|metallic|reflective|polished|gleaming|mirrored|mirror|mirror-like|chrome|metal|lustrous|varnished|sparkling|glassy|lacquered|very shiny|highly polished|shining|glistening|steel|glass|highly reflective|smooth and shiny",
    "matte": "matte|matt|mat|dull|rubber|rubbery|unpolished|non-reflective|flat|not shiny|chalky|non-shiny|matte-finished|unglazed|clay|dull-looking|rough|lacklustre|lusterless|not glossy|satin|plaster",
}
# Stuff that tells a colour, where no other is told: "a chrome ball". Colour and material: what it is called, what things are made of.
TELLING = {
    ("gray", "shiny"): ("chrome|steel|stainless steel|polished steel|iron|aluminium|chromed|chrome-plated", "chrome|steel|stainless steel|polished steel|iron|aluminium"),
    ("gray", "matte"): ("concrete|stone|cement|rock", "concrete|stone|cement|rock|unpolished stone"),
    ("brown", None): ("wooden|wood|oak|oaken|timber|terracotta|leather|pine", "wood|oak|timber|terracotta|leather|pine wood"),
    ("yellow", "shiny"): ("brass", "brass"),
}
# Things that have a shape and a colour of their own, where no other colour is told: "an apple".
FAMILIAR = {
    ("red", "sphere"): "apple|tomato|cherry|strawberry|raspberry|radish|pomegranate|cricket ball", ("green", "sphere"): "pea|lime|olive|watermelon|melon|cabbage|grape", ("blue", "sphere"): "blueberry|earth|planet earth",
    ("yellow", "sphere"): "orange|lemon|sun|tennis ball|basketball|pumpkin|peach|grapefruit|tangerine|egg yolk", ("purple", "sphere"): "plum|fig|beetroot", ("brown", "sphere"): "coconut|meatball|walnut|hazelnut|chestnut|potato|kiwi",
    ("gray", "sphere"): "moon|full moon|egg|snowball|pearl|golf ball|soccer ball|ping pong ball|volleyball|baseball|pebble|boulder|cannonball|disco ball",
    ("red", "cube"): "brick", ("yellow", "cube"): "bar of gold|gold bar|block of cheese|cheese|stick of butter|hay bale|bale of hay", ("brown", "cube"): "cardboard box|treasure chest|wooden crate|shipping box|suitcase|brownie|loaf of bread",
    ("gray", "cube"): "sugar cube|cinder block|block of concrete|safe|fridge", ("cyan", "cube"): "ice cube|block of ice", ("green", "cone"): "christmas tree|fir tree|fir|pine tree|spruce", ("yellow", "cone"): "carrot|traffic cone|haystack",
    ("brown", "cone"): "ice cream cone|volcano|waffle cone|anthill", ("brown", "cylinder"): "log|tree trunk|tree stump|barrel|wine barrel|cork|rolling pin", ("red", "cylinder"): "coke can|can of coke|fire extinguisher|stick of dynamite",
    ("green", "cylinder"): "cucumber|cactus|zucchini", ("yellow", "cylinder"): "pencil|wheel of cheese|corn cob|stack of gold coins", ("gray", "cylinder"): "tin can|soup can|can of soup|candle|toilet roll|roll of toilet paper|stack of coins|chimney",
}
VARIOUS = {2: ["red", "blue"], 3: ["red", "green", "blue"]}  # of so many things "in different colours"
# "not ...", "that isn't ..."
UNLIKE_SIZES = {"large": "small|tiny|little|small at all", "small": "big|large|huge|tall|big at all"}
UNLIKE_MATERIALS = {"shiny": "matte|dull|matt|rough", "matte": "shiny|glossy|reflective|metallic|polished|shiny at all"}
SURFACES = {  # "with a ... surface", "made of ..."
    "shiny": "a shiny surface|a glossy finish|a metallic sheen|a mirror finish|a glossy surface|a polished surface|a reflective coating|a metal surface|a high gloss",
    "matte": "a matte finish|a matte surface|a matt finish|a dull surface|no shine|a dull finish|a matt surface|a rubbery surface|a flat finish|no gloss",
}
STUFF = {
    "shiny": "metal|polished metal|shiny metal|chrome|steel|shiny plastic|glass|polished steel|glossy plastic|glazed ceramic|glossy material|lacquered wood",
    "matte": "rubber|matte rubber|matte plastic|clay|dull plastic|matt rubber|chalk|plaster|unpolished stone|matte material|felt|cardboard",
}
FLOORS = {
    "grey": "grey|gray|concrete|cement|stone|light grey|neutral grey|plain grey|light gray|greyish|slate",
    "white": "white|snow white|bright white|plain white|pure white|snowy|clean white|white paper|light|bright",
    "tan": "tan|beige|sand|sandy|wooden|wood|cream|light brown|desert|sand-coloured|cardboard|brown|brownish|cork|yellowish|warm",
    "dark": "dark|black|dark grey|very dark|pitch black|dark gray|almost black|gloomy|asphalt|shadowy|darkened|charcoal|jet black|night",
}
PLACES = {"white": "in the snow|on snow|on ice", "tan": "on the beach|at the beach|on a beach|in the desert|on sand|in the sand", "dark": "at night|in the dark|in outer space|in space|in the night|on asphalt|in darkness"}
GROUNDS = "floor|floor|floor|ground|surface|background|backdrop|table|tabletop|flooring|base|plane|carpet|wall|desk|studio floor|studio background|room|mat|sheet"

# Words that say nothing of the scene, in the ways that people say them.
BEFORE = (
    "a photo of|photo of|a picture of|picture of|an image of|image of|image showing|a photograph of|photograph of|a photograph showing|a photo showing|a picture showing|a render of|3d render of|a rendering of|"
    "a 3d rendering of|a drawing of|an illustration of|a painting of|oil painting of|a sketch of|a close-up of|closeup of|a high quality photo of|a detailed picture of|a realistic photo of|a still life of|still life with|"
    "draw|draw me|please draw|can you draw|could you draw me|paint|generate|generate an image of|create|create a picture of|make|make me|make a picture of|show|show me|i want|i would like|i'd like to see|i want to see|"
    "give me|imagine|render|there is|there's|there are|here is|here we have|we see|i see|you can see|one can see|a scene with|scene:|a scene showing|a scene containing|in this picture there is|picture this:|"
    "a simple scene of|an artistic shot of|product shot of|a studio shot of|a minimalist picture of|an old photo of|a view of|the image shows|the picture shows|this is|it is|it's|behold|prompt:|a beautiful|"
    "a beautiful picture of|a stunning photo of|photorealistic|a photorealistic image of|realistic|beautiful|award-winning photo of|a 4k photo of|masterpiece, best quality,|raytraced|a cg render of|cgi of|a computer graphic of|"
    "a digital painting of|watercolour of|a wallpaper of|an animation of|a frame with|a snapshot of|a cinematic shot of|a macro photo of|a model of|an example of|my|his|our|please give me|hey, draw|can i have|may i see|could i get|let me see|let there be|i need|we need|put|put down|add|place|design|produce|"
    "create an image with|an image with|a picture with|a photo with|a scene where there is|a render showing|blender render of|clevr scene with|clevr style image:|pixel art of|a logo of|a poster of|a minimalist poster of|clipart of|"
    "a screenshot of|low poly|a very simple image of|close-up photograph of|cinematic photo of|professional photo of|polaroid of|show me a picture of|try|now|ok,|so,|well,|imagine that there is|what about|text to image:"
)
AFTER = (
    "studio photo|studio lighting|4k|8k|hd|high quality|best quality|highly detailed|photorealistic|realistic|ultra realistic|octane render|unreal engine|trending on artstation|soft light|soft lighting|soft shadows|"
    "natural light|dramatic lighting|cinematic|cinematic lighting|minimalist|minimalism|simple|clean|sharp focus|bokeh|depth of field|macro photograph|macro photography|product photography|digital art|concept art|"
    "3d render|ray tracing|blender|masterpiece|award winning|beautiful|very beautiful|please|thanks|thank you|for me|in the style of an old master|from above|top view|wide angle|centered|in the centre|in the center|in the middle|"
    "on display|standing there|by itself|all alone|alone|and nothing else|nothing else|with nothing around|with no other objects|without other things|and no other things|isolated|in an empty room|at noon|"
    "in the sun|with a soft shadow|casting a shadow|long shadow|high resolution|detailed|intricate|elegant|artstation|cg|cgi|vray|hyperrealistic|full view|seen from above|low angle|hdr|raw photo|film grain|vivid|"
    "no text|no people|in the scene|in the picture|in the image|in this scene|to be seen|as an example|as always|today|right now|isometric|lowpoly|volumetric light|pastel|painting|oil on canvas|"
    "stock photo|no watermark|sharp|crisp|crystal clear|by a famous artist|vintage|retro|futuristic|surreal|abstract|geometric|geometry|basic shapes|primitive|simple geometry|best quality please|would you|if you can|ok|pls|thx|asap|now|uhd|full hd|dslr|canon|nikon|long exposure|global illumination|subsurface scattering|pbr materials|rtx on|cycles render|houdini|"
    "cinema 4d|c4d|tilt-shift|cozy|moody|pastel colours|high contrast|by greg rutkowski|in the style of van gogh|in the style of picasso|impressionism|cubism|watercolor|ink|line art|comic style|anime style|pixel art|"
    "award-winning|national geographic|professional|8k uhd|extremely detailed|insanely detailed|intricate details|perfect composition|solo|no humans|simple background|((best quality))|(masterpiece)|(best quality:1.2)|white balance|minimal|no background|surprise me|nothing fancy|rule of thirds|golden hour|golden ratio|blue hour|warm light|cold light|rim light|softbox|hdri"
)
ADJECTIVES = (
    "nice|beautiful|lovely|pretty|simple|plain|single|lone|lonely|solid|perfect|cute|ordinary|regular|old|new|bright|vivid|realistic|photorealistic|detailed|elegant|plastic|geometric|3d|amazing|strange|smooth|"
    "cool|fancy|modern|typical|basic|certain|random|magic|mysterious|clean|good|famous|floating|toy|lonesome|solitary|wonderful|stylish|real|heavy|light|soft|thin|slim|long|narrow|ripe|fresh|transparent|translucent"
)
# Things that it cannot draw.
NOUNS = (
    "dog|cat|elephant|car|house|tree|flower|person|man|woman|bird|horse|fish|banana|chair|table|cup|bottle|book|phone|castle|mountain|river|city|street|robot|dragon|spaceship|planet|lamp|shoe|hat|bag|guitar|"
    "boat|plane|train|bicycle|clock|key|door|window|king|queen|child|girl|boy|cow|pig|mouse|lion|tiger|bear|monkey|rabbit|snake|frog|bee|butterfly|pizza|cake|bread|mug|plate|spoon|knife|teapot|object|thing|"
    "item|something|shape|toy|piece|one|figure|solid|artefact|ornament|statue|vase|pen|computer|screen|truck|bus|ship|bridge|tower|island|cloud|star|forest|garden|sea"
)
VERBS = "is|stands|sits|lies|is placed|rests|is standing|is sitting|is located|can be seen|appears|is lying|stays|is positioned|floats|is put|waits|is found|was placed"
PLACED = "standing|sitting|lying|placed|resting|located|positioned|put|set|situated|which is|that is|that stands|which stands|seen|that sits|waiting|which sits"

BESIDE = (
    "and|and|and|with|next to|beside|near|by|alongside|together with|plus|as well as|accompanied by|followed by|along with|close to|at the side of|besides|side by side with|and also|and then|then|in the company of|not far from|"
    "adjacent to|touching|and next to it|and beside it|and near it|and another thing,|combined with|paired with|joined by|opposite|surrounded by|inside|leaning against|and close by|, with|, and|,|,|&|+|;|.|/|versus|around|. next to it,|. next to it is|. beside it is|. there is also|and there is also|, next to it|and, beside it,|. also|. and|then"
)
SIDES = {
    "left": "to the left of|left of|on the left of|at the left of|on the left side of|to the left side of|at the left side of|on the left hand side of|left from|left to|to the left from|on the left-hand side of|immediately left of|just left of|directly to the left of|somewhere left of|leftwards of",
    "right": "to the right of|right of|on the right of|at the right of|on the right side of|to the right side of|at the right side of|on the right hand side of|right from|right to|to the right from|on the right-hand side of|immediately right of|just right of|directly to the right of|somewhere right of|rightwards of",
    "front": "in front of|in the front of|before|closer than|closer to the camera than|nearer than|nearer to us than|just in front of|directly in front of|at the front of|ahead of|below|under|beneath|underneath|obscuring|covering",
    "behind": "behind|in back of|at the back of|beyond|farther away than|further back than|just behind|directly behind|right behind|hidden behind|in the back of|to the rear of|above|on top of|over|atop|partly hidden by|half hidden behind|stacked on",
}
# Where it stands, seen from a thing that has been named.
ITS = {
    "left": "to its left|on its left|on its left side|at its left|to the left of it|left of it|on the left of it|to the left|on the left|at its left side|to its left side|on the left side|on its left hand side",
    "right": "to its right|on its right|on its right side|at its right|to the right of it|right of it|on the right of it|to the right|on the right|at its right side|to its right side|on the right side|on its right hand side",
    "front": "in front of it|in front|before it|in its front|just in front of it|closer to us|in the foreground|below it|under it",
    "behind": "behind it|behind|at its back|in the background|just behind it|further back|at the back|above it|on top of it|on top",
}
NUMBERS = {
    1: "a|one|1|a single|exactly one|just one|only one|one single",
    2: "two|two|two|2|a pair of|a couple of|both|exactly two|just two|two of the|a duo of|twin|2x|two identical|two similar|two equal",
    3: "three|three|three|3|a trio of|three of the|exactly three|just three|a group of three|several|some|a few|four|five|six|many|a lot of|lots of|4|5|6|ten|a bunch of|a dozen|multiple|various|3x|three identical|a set of|a triple of|seven|a row of|a heap of|a group of|numerous",
}


@cache
def phrases(said: str) -> list[str]:
    return said.split("|")
