"""Layout-to-image and class-conditional synthesis (the paper's §4.3): one U-Net that attends to boxes, or to a class.

It goes on from the text model's U-Net, which can draw everything already; what is new is what it is told.
"""

import math

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from transformers import BertConfig, BertModel

from scenes import compute, denoiser, diffusion, first_stage, layout, together, train as text_training
from scenes.camera import SIZE
from scenes.paths import WORK
from scenes.sheets import grid, to_uint8

from . import examples, sampling
from .paths import LAYOUT

MOST = 3  # boxes
SECTIONS = 32  # places along a side, as worker-gpu/ldm/conditioners/layout.ts counts them
TOKENS = SECTIONS**2 + 1  # the last one stands for "none"
NONE = TOKENS - 1
NO_CLASS = len(examples.KINDS)
LENGTH = 3 * MOST

CLASSES = 0.4  # share of a batch that is told a class and no boxes
UNTOLD = 0.1  # share that is told nothing, which guidance needs


class LayoutEncoder(nn.Module):
    """Three tokens a box (kind, top left, bottom right), int64 [B, 9] → [B, 9, 128], through a transformer (the paper's BERTEmbedder).

    Places are the sum of their row's and their column's vector, so that a place that never was a corner in training still lies between its neighbours.
    """

    def __init__(self):
        super().__init__()
        width = denoiser.WIDTH
        config = BertConfig(vocab_size=1, hidden_size=width, num_hidden_layers=3, num_attention_heads=4, intermediate_size=4 * width,
                            max_position_embeddings=LENGTH, type_vocab_size=1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        config._attn_implementation = "eager"  # plain operators, which the ONNX tracer can follow
        self.kinds = nn.Embedding(NO_CLASS + 1, width)  # and "none"
        self.rows, self.columns = nn.Embedding(SECTIONS + 1, width), nn.Embedding(SECTIONS, width)
        self.bind = nn.Linear(3 * width, 3 * width)  # by which each of a box's tokens knows the other two from the start
        self.bert = BertModel(config, add_pooling_layer=False)
        for table in (self.kinds, self.rows, self.columns):
            nn.init.normal_(table.weight, std=0.1)
        nn.init.zeros_(self.bind.weight)
        nn.init.zeros_(self.bind.bias)
        with torch.no_grad():  # neighbours begin alike
            waves = torch.arange(SECTIONS)[:, None] / SECTIONS * math.pi * torch.arange(1, 17)
            for table, at in ((self.rows, 0), (self.columns, 32)):
                table.weight[:SECTIONS, at : at + 32] = torch.cat([waves.sin(), waves.cos()], 1) * 0.5

    def forward(self, input_ids):
        # Not by flatten and unflatten, for which the tracer takes the size of its example's batch as that of all.
        box = input_ids.reshape(-1, MOST, 3)
        kinds = self.kinds(box[:, :, :1].clamp(max=NO_CLASS))
        places = self.rows(box[:, :, 1:] // SECTIONS) + self.columns(box[:, :, 1:] % SECTIONS)
        box = torch.cat([kinds, places], 2).reshape(-1, MOST, 3 * denoiser.WIDTH)
        return self.bert(inputs_embeds=(box + self.bind(box)).reshape(-1, LENGTH, denoiser.WIDTH))[0]


class Placed(nn.Module):
    """The U-Net's first layer, told where it is. Boxes are places, and of those a convolution knows only what the picture's edge tells it."""

    WAVES = 4

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        self.conv, self.place = conv, nn.Conv2d(4 * self.WAVES, conv.out_channels, 1)
        nn.init.zeros_(self.place.weight)
        nn.init.zeros_(self.place.bias)

    def forward(self, z):
        height, width = z.shape[2:]
        waves = math.pi * torch.arange(1, self.WAVES + 1, device=z.device)[:, None, None]
        y = (waves * ((torch.arange(height, device=z.device) + 0.5) / height)[:, None]).expand(-1, height, width)
        x = (waves * ((torch.arange(width, device=z.device) + 0.5) / width)).expand(-1, height, width)
        return self.conv(z) + self.place(torch.cat([y.sin(), y.cos(), x.sin(), x.cos()])[None])


class Model(nn.Module):
    """v_θ(z_t, t, boxes [B, 9], class [B]); a class of −1 means that the boxes count."""

    def __init__(self):
        super().__init__()
        self.unet, self.layout = denoiser.unet(), LayoutEncoder()
        self.unet.conv_in = Placed(self.unet.conv_in)
        self.classes = nn.Embedding(NO_CLASS + 1, denoiser.WIDTH)

    def forward(self, z, t, boxes, kinds):
        # A context of one token nine times over is attended to just like that token alone.
        token = self.classes(kinds.clamp(min=0))[:, None].expand(-1, LENGTH, -1)
        return self.unet(z, t, torch.where((kinds >= 0)[:, None, None], token, self.layout(boxes))).sample


def box(thing: dict) -> tuple[float, ...]:
    """(x0, y0, x1, y1) from 0 to 1."""
    return tuple(float(np.clip(side / SIZE, 0, 1)) for side in layout.box(thing))


def tokens(boxes: list[tuple]) -> list[int]:
    """[(kind, (x0, y0, x1, y1))] as input_ids."""

    def place(x: float, y: float) -> int:
        return round(y * (SECTIONS - 1)) * SECTIONS + round(x * (SECTIONS - 1))

    ids = [token for kind, (x0, y0, x1, y1) in boxes for token in (kind, place(x0, y0), place(x1, y1))]
    return ids + [NONE] * (LENGTH - len(ids))


def train(minutes: float) -> None:
    together.spawn(_train, minutes)


def _train(minutes: float) -> None:
    torch.manual_seed(0)
    latents, scenes = examples.load()
    rows_of = text_training.by_count(scenes)
    boxes = [[(examples.kind(thing), box(thing)) for thing in scene["objects"]] for scene in scenes]
    size = compute.batch(on_cpu=20, on_cuda=512)
    first = round(CLASSES * size)  # rows of a batch that are told a class

    def batch(rng: np.random.Generator, progress: float):
        shares = np.array([0.5, 0.4, 0.1]) * (1 - progress) + np.array([0.25, 0.4, 0.35]) * progress
        rows = text_training.some(rows_of, shares, size, rng)
        rows[:first] = rng.choice(rows_of[0], first)
        untold = rng.random(size) < UNTOLD
        # In any order: which box comes first means nothing.
        ids = [tokens([] if dumb else [boxes[row][i] for i in rng.permutation(len(boxes[row]))]) for row, dumb in zip(rows, untold)]
        kinds = [NO_CLASS if dumb else boxes[row][0][0] for row, dumb in zip(rows[:first], untold)]
        return latents[rows], (torch.tensor(ids), torch.tensor(kinds + [-1] * (size - first)))

    model = Model()
    if not LAYOUT.exists():
        known = text_training.load()[0].state_dict()
        placed = {key: value for key, value in model.unet.state_dict().items() if ".place." in key}
        model.unet.load_state_dict(placed | {key.replace("conv_in.", "conv_in.conv."): value for key, value in known.items()})
    diffusion.train(model, batch, LAYOUT, minutes, sheet=_sheet, rate=6e-4, decay=0.998, flat=0.4, sheet_minutes=6)


def draw(model: Model, boxes: list[list], kinds: list[int], guidance: float = 3.0, seed: int = 0) -> torch.Tensor:
    """Latents for lists of boxes (where the kind is −1) and kinds."""
    count = len(boxes)
    said = ([tokens(row) for row in boxes], kinds, [tokens([])] * count, [NO_CLASS if kind >= 0 else -1 for kind in kinds])
    ids, told, none, untold = (torch.tensor(part, device=compute.DEVICE) for part in said)
    net = lambda x, t, tell: model(x, t, *((ids, told) if tell else (none, untold)))  # noqa: E731
    return sampling.latents(count, sampling.guided(net, guidance), seed)


def _sheet(model: Model) -> None:
    """A row of classes, two of layouts with their boxes, the last one without guidance."""
    rng = np.random.default_rng(0)
    real = [layout.draw(rng, True, (0.2, 0.4, 0.4)) for _ in range(8)]
    asked = [[(examples.kind(thing), box(thing)) for thing in scene["objects"]] for scene in real]
    vae = first_stage.load().to(compute.DEVICE)
    classes = draw(model, [[]] * 8, list(range(0, 32, 4)))
    pictures = torch.cat([classes, draw(model, asked, [-1] * 8), draw(model, asked, [-1] * 8, 1.0)])
    drawn = to_uint8(sampling.decode(vae, pictures))
    for i in range(16):
        picture = Image.fromarray(drawn[8 + i])
        pen = ImageDraw.Draw(picture)
        for kind, (x0, y0, x1, y1) in asked[i % 8]:
            pen.rectangle([x0 * 128, y0 * 128, x1 * 128, y1 * 128], outline="black")
            pen.text((x0 * 128 + 2, y0 * 128), examples.KINDS[kind], fill="black", font_size=9)
        drawn[8 + i] = np.asarray(picture)
    Image.fromarray(grid(drawn, 8)).save(WORK / "layout.png")
