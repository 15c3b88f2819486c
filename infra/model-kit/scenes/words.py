"""The world's vocabulary. List order is label order: in metadata, in the judge's outputs and in judge.json."""

SHAPES = ["sphere", "cube", "cylinder", "cone"]
COLOURS = ["red", "green", "blue", "yellow", "cyan", "purple", "brown", "gray"]
SIZES = ["small", "large"]
MATERIALS = ["matte", "shiny"]
FLOORS = ["grey", "white", "tan", "dark"]

# Pairs the denoiser never sees in training; asking for them tests composition, not memory.
HELD_OUT = {("red", "cone"), ("blue", "cylinder"), ("green", "cube"), ("purple", "sphere")}
