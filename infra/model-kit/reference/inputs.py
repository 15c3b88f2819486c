"""What diffusers' VaeImageProcessor makes of images and masks of other sizes than the picture."""

import hashlib

import numpy as np
from diffusers.image_processor import VaeImageProcessor
from golden import write
from PIL import Image

SIZES = [
    ((64, 64), (64, 64)),
    ((33, 17), (64, 32)),
    ((64, 64), (128, 128)),
    ((100, 77), (96, 64)),
    ((256, 256), (128, 128)),
    ((301, 203), (64, 64)),
    ((1000, 40), (64, 64)),
    ((3, 1), (64, 96)),
    ((1, 1), (32, 32)),
]


def samples(width: int, height: int, channels: int) -> np.ndarray:
    """Noise that any language makes the same: edges everywhere, so that what overshoots is cut."""
    i = np.arange(width * height * channels, dtype=np.int64)
    return ((i * i * 7 + i // 5) % 251).astype(np.uint8).reshape(height, width, channels)


def inputs() -> None:
    image, mask = VaeImageProcessor(do_convert_rgb=True), VaeImageProcessor(do_normalize=False, do_binarize=True, do_convert_grayscale=True)
    cases = []
    for (width, height), (to_width, to_height) in SIZES:
        rgb = Image.fromarray(samples(width, height, 3))
        grey = Image.fromarray(samples(width, height, 1)[:, :, 0])
        stretched, cropped = (
            image.preprocess(rgb, to_height, to_width, resize_mode=mode)[0].permute(1, 2, 0).numpy() / 2 + 0.5 for mode in ("default", "crop")
        )
        where = mask.preprocess(grey, to_height, to_width)[0, 0].numpy()
        bytes_of = {"image": (stretched * 255).round(), "cropped": (cropped * 255).round(), "mask": where * 255}
        digests = {name: hashlib.sha256(values.astype(np.uint8).tobytes()).hexdigest() for name, values in bytes_of.items()}
        cases.append({"from": [width, height], "to": [to_width, to_height], **digests})
    write("inputs.json", {"sha256": cases})
