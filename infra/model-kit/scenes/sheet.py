"""Draws a sheet of samples with their captions underneath."""

import textwrap
from pathlib import Path

import numpy as np
from diffusers import StableDiffusionPipeline
from PIL import Image, ImageDraw

from . import compute, pipeline
from .paths import PIPELINE, WORK
from .sheets import to_uint8

PROMPTS = [
    "a large shiny red sphere on a grey floor", "a large matte blue cube on a white floor",
    "a large shiny yellow cube on a dark floor", "a small matte cyan cone on a tan floor",
    "a large shiny green cylinder on a grey floor", "a large matte red cone on a white floor",
    "a large shiny purple sphere on a tan floor", "a small shiny brown cube on a white floor",
    "a large shiny red sphere to the left of a small matte blue cube on a grey floor",
    "a large matte green cone to the right of a large shiny yellow cylinder on a white floor",
    "a small shiny cyan sphere in front of a large matte brown cube on a tan floor",
    "a large shiny gray cylinder behind a small matte red sphere on a dark floor",
    "a large matte purple cube and a small shiny yellow cone on a grey floor",
    "a large matte green cube to the left of a large shiny red cone on a white floor",
    "a small shiny blue cylinder, a large matte yellow sphere and a small shiny gray cube on a dark floor",
    "a large shiny cyan cube, a small matte red cylinder and a large matte brown cone on a tan floor",
]
CAPTION = 56  # pixels: five lines


def sheet(path: Path | None = None, seed: int = 0) -> None:
    path = path or WORK / "sheet.png"
    pipe = StableDiffusionPipeline.from_pretrained(PIPELINE, safety_checker=None).to(compute.DEVICE)
    pictures = to_uint8(pipeline.draw(pipe, PROMPTS, seed))
    side, columns = pictures.shape[1], 8
    canvas = Image.new("RGB", (columns * side, len(pictures) // columns * (side + CAPTION)), "white")
    pen = ImageDraw.Draw(canvas)
    for number, (picture, prompt) in enumerate(zip(pictures, PROMPTS)):
        row, column = divmod(number, columns)
        canvas.paste(Image.fromarray(np.asarray(picture)), (column * side, row * (side + CAPTION)))
        pen.multiline_text((column * side + 3, row * (side + CAPTION) + side + 2), "\n".join(textwrap.wrap(prompt, 24)), fill="black", font_size=9, spacing=1)
    canvas.save(path)
    print(path)
