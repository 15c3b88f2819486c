"""Exports a checkpoint of the paper's authors (CompVis/latent-diffusion) to ONNX as Darkroom reads it.

    git clone https://github.com/CompVis/latent-diffusion
    pip install einops omegaconf
    python infra/model-kit/export/compvis.py latent-diffusion CONFIG.yaml MODEL.ckpt OUT_DIR [--labels FILE] [--tokenizer DIR] [--half]

The networks are the authors' own, from their code, so that every structure their configs can name is exported as it is. Weights are the averaged ones where
there are any, as in their scripts. Then npm run models -- add OUT_DIR.
"""

import argparse
import json
import pickle
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import torch
from diffusers import DDIMScheduler
from graph import export, gather
from omegaconf import OmegaConf
from parts import BATCH, SPACE, WORDS, attend_to_one
from torch import nn
from torch.nn import functional
from transformers import BertTokenizerFast
from whole import whole

warnings.filterwarnings("ignore")

# ldm/modules/diffusionmodules/util.py:21–42, and diffusers' names for the same.
SCHEDULES = {"linear": "scaled_linear", "sqrt_linear": "linear"}
PREDICTIONS = {"eps": "epsilon", "x0": "sample"}


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(prog="python infra/model-kit/export/compvis.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="latent-diffusion", type=Path, help="the authors' code")
    parser.add_argument("config", metavar="CONFIG.yaml", type=Path, help="of models/ldm or configs/latent-diffusion")
    parser.add_argument("checkpoint", metavar="MODEL.ckpt", type=Path)
    parser.add_argument("target", metavar="OUT_DIR", type=Path, help="must not exist")
    parser.add_argument("--labels", type=Path, help="a line for each class, in the order of their numbers: for models of classes, layouts and semantic maps")
    parser.add_argument("--tokenizer", default="bert-base-uncased", help="for models of texts: a folder, or a name on Hugging Face; by default %(default)s")
    parser.add_argument("--half", action="store_true", help="float16 weights, inputs and outputs")
    given = parser.parse_args()
    for path in (given.source / "ldm" / "modules", given.config, given.checkpoint, given.labels):
        if path and not path.exists():
            sys.exit(f"{path}: expected to find it, found nothing")
    with whole(given.target) as target:
        sys.path.insert(0, str(given.source))
        traceable(given.half)
        try:
            Model(given, target).export()
        except RuntimeError as error:
            # Of load_state_dict: which weights are missing, or have another shape.
            sys.exit(f"{given.checkpoint}: expected what {given.config} describes, got: {error}")


def traceable(half: bool) -> None:
    """Lets the authors' networks be traced into what ONNX Runtime has operators for. They compute what they did, in half precision if asked to."""
    from ldm.modules import attention
    from ldm.modules.diffusionmodules import model, openaimodel, util

    if half:
        embedding = openaimodel.timestep_embedding
        openaimodel.timestep_embedding = lambda *given, **named: embedding(*given, **named).half()
        # Theirs goes to float32 and back, whatever its weights are in.
        util.GroupNorm32.forward = nn.GroupNorm.forward

    # It saves memory in training, and the tracer cannot see through it.
    attention.checkpoint = openaimodel.checkpoint = lambda function, inputs, parameters, flag: function(*inputs)

    def attend(q, k, v, heads):
        """softmax(QKᵀ/√d)V of [B, S, heads · d], as worker-gpu/onnx/attention.ts finds it."""
        b, _, width = q.shape
        q, k, v = (each.reshape(b, -1, heads, width // heads).transpose(1, 2) for each in (q, k, v))
        return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, -1, width)

    def cross(self, x, context=None, mask=None):
        context = x if context is None else context
        return self.to_out(attend(self.to_q(x), self.to_k(context), self.to_v(context), self.heads))

    def by_heads(self, qkv):
        """[B, heads · 3 · d, S]: each head has its Q, K and V side by side."""
        q, k, v = (each.flatten(1, 2).transpose(1, 2) for each in qkv.unflatten(1, (self.n_heads, 3, -1)).unbind(2))
        return attend(q, k, v, self.n_heads).transpose(1, 2)

    def of_pixels(self, x):
        normal = self.norm(x)
        q, k, v = (map(normal).flatten(2).transpose(1, 2) for map in (self.q, self.k, self.v))
        return x + self.proj_out(attend(q, k, v, 1).transpose(1, 2).reshape(x.shape))

    whole = attention.BasicTransformerBlock._forward

    def block(self, x, context=None):
        return attend_to_one(self, x, context) if context is not None and context.shape[1] == 1 else whole(self, x, context)

    attention.CrossAttention.forward = cross
    attention.BasicTransformerBlock._forward = block
    openaimodel.QKVAttentionLegacy.forward = by_heads
    model.AttnBlock.forward = of_pixels


class Model:
    """What a config and its checkpoint describe, and the folder that it becomes."""

    def __init__(self, given: argparse.Namespace, target: Path):
        self.given = given
        self.target = target
        self.config = params_of(given.config)
        self.weights = read(given.checkpoint)
        self.labels = given.labels.read_text().strip().splitlines() if given.labels else None
        self.index = {}
        for key in ("unet_config", "first_stage_config", "cond_stage_config", "timesteps"):
            self.expect(key in self.config, "model: params", f"those of LatentDiffusion, {key} and others", ", ".join(self.config) or "none")
        self.cond = self.config["cond_stage_config"]
        self.channels = self.config.get("channels", 3)

    def expect(self, right: bool, key: str, expected: str, got) -> None:
        if not right:
            sys.exit(f"{self.given.config}: {key}: expected {expected}, got {got}")

    def export(self) -> None:
        families = {
            "__is_unconditional__": ("LDMPipeline", None, 0, None),
            "__is_first_stage__": ("LDMInpaintPipeline", "concat", self.channels + 1, None),
            "torch.nn.Identity": ("LDMSuperResolutionPipeline", "concat", 3, None),
            "ClassEmbedder": ("LDMClassToImagePipeline", "crossattn", 0, self.class_embedder),
            "SpatialRescaler": ("LDMSemanticSynthesisPipeline", "concat", None, self.spatial_rescaler),
            "BERTEmbedder": ("LDMTextToImagePipeline", "crossattn", 0, self.bert),
        }
        kind = self.cond if isinstance(self.cond, str) else self.cond["target"].removeprefix("ldm.modules.encoders.modules.")
        self.expect(kind in families, "cond_stage_config", f"one of {', '.join(families)}", kind)
        name, way, beside, conditioner = families[kind]
        # ldm/models/diffusion/ddpm.py:442–446
        key = self.config.get("conditioning_key") or ("concat" if self.config.get("concat_mode", True) else "crossattn")
        self.expect(way in (None, key), "conditioning_key", f"{way}, as {name} is told its condition", key)
        if kind == "BERTEmbedder" and not self.cond.get("params", {}).get("use_tokenizer", True):
            name, conditioner = "LDMLayoutToImagePipeline", self.layout_encoder
        unet = self.config["unet_config"]["params"]
        # The U-Net would look classes up by itself, which is another thing than attending to one, and no model of the paper does it.
        self.expect(unet.get("num_classes") is None, "unet_config: num_classes", "none", unet.get("num_classes"))
        shown = unet["in_channels"] - self.channels
        self.expect(beside in (None, shown), "unet_config: in_channels", f"{self.channels} of the latent and {beside} beside them", unet["in_channels"])
        # What may be refused first, before anything is written; the U-Net, which takes longest, last.
        if conditioner:
            conditioner(self.cond.get("params") or {})
        self.scheduler()
        self.first_stage(self.config["first_stage_config"], encoder=kind == "__is_first_stage__")
        self.unet(unet, of_classes=kind == "ClassEmbedder")
        (self.target / "model_index.json").write_text(json.dumps({"_class_name": name, **self.index}, indent="\t") + "\n")

    def write(self, name: str, network: nn.Module, config: dict, forward, inputs: dict, output: str) -> None:
        print(name, flush=True)
        network.config = SimpleNamespace(**config)
        if self.given.half:
            network.half()
            inputs = {key: (example.half() if example.is_floating_point() and key != "timestep" else example, axes) for key, (example, axes) in inputs.items()}
        export(self.target / name, network.eval(), forward, inputs, output)
        gather(self.target / name)

    def under(self, prefix: str) -> dict:
        return {name.removeprefix(prefix): weight for name, weight in self.weights.items() if name.startswith(prefix)}

    def unet(self, params: dict, of_classes: bool) -> None:
        from ldm.modules.diffusionmodules import openaimodel

        network = openaimodel.UNetModel(**params | {"use_fp16": self.given.half})
        weights = self.under("model.diffusion_model.")
        # ldm/modules/ema.py:14–20: names of buffers have no dots. ema_scope() of ddpm.py, which all scripts draw in, takes them where use_ema says so.
        if self.config.get("use_ema", True):
            averaged = {name: f"model_ema.diffusion_model{name.replace('.', '')}" for name in weights}
            weights |= {name: self.weights[ema] for name, ema in averaged.items() if ema in self.weights}
        network.load_state_dict(weights)
        mult = network.channel_mult
        config = {
            "in_channels": params["in_channels"], "out_channels": params["out_channels"], "sample_size": params["image_size"],
            "block_out_channels": [params["model_channels"] * each for each in mult],
        }
        side = 2 ** len(mult)
        inputs = {"sample": (torch.randn(2, params["in_channels"], side, side), SPACE), "timestep": (torch.tensor([1.0, 2.0]), BATCH)}
        if "context_dim" in params:
            tokens, free = (1, BATCH) if of_classes else (7, WORDS)
            inputs["encoder_hidden_states"] = (torch.randn(2, tokens, params["context_dim"]), free)
        self.write("unet", network, config, lambda x, t, context=None: network(x, t, context), inputs, "out_sample")

    def first_stage(self, stage: dict, encoder: bool) -> None:
        """decode_first_stage of ddpm.py:706–763, its division by scale_factor too, which diffusers' super-resolution knows nothing of."""
        kind, params = stage["target"].rsplit(".", 1)[-1], stage.get("params") or {}
        known = ("VQModelInterface", "AutoencoderKL", "IdentityFirstStage")
        self.expect(kind in known, "first_stage_config: target", f"one of {', '.join(known)}", kind)
        network = Pixels() if kind == "IdentityFirstStage" else Autoencoder(**params, quantises=kind == "VQModelInterface")
        weights = self.under("first_stage_model.")
        network.load_state_dict({name: weights[name] for name in network.state_dict() if name in weights})
        # A number of the config's, or of the first batch of training (scale_by_std).
        scale = float(self.weights.get("scale_factor", self.config.get("scale_factor", 1)))
        pixels = {"ch": 1, "ch_mult": [1], "resolution": self.config.get("image_size", 256), "in_channels": 3}
        net = {"ch_mult": [1, 2, 4, 8]} | params["ddconfig"] if "ddconfig" in params else pixels
        config = {"block_out_channels": [net["ch"] * each for each in net["ch_mult"]], "scaling_factor": 1, "sample_size": net["resolution"]}
        # The only one that encodes knows no distribution (families/ldm-inpaint.ts): of KL it is shown the mean.
        name = "vae" if kind == "AutoencoderKL" and not encoder else "vqvae"
        latent = torch.randn(1, self.channels, 8, 8)
        self.write(f"{name}_decoder", network, config, lambda z: network.decode(z / scale), {"latent_sample": (latent, SPACE)}, "sample")
        if encoder:
            side = 2 ** (len(net["ch_mult"]) + 2)
            image = torch.randn(1, net["in_channels"], side, side)
            self.write(f"{name}_encoder", network, config, network.encode, {"sample": (image, SPACE)}, "latent_sample")

    def class_embedder(self, params: dict) -> None:
        count = params.get("n_classes", 1000)
        names = self.named(count - 1, count)
        network = nn.Embedding(count, params["embed_dim"])
        network.load_state_dict(self.under("cond_stage_model.embedding."))
        config = {"n_classes": count} | ({"unconditional_class": count - 1} if names < count else {})
        classes = {"class_labels": (torch.zeros(2, dtype=torch.int64), BATCH)}
        self.write("class_embedder", network, config, lambda labels: network(labels[:, None]), classes, "encoder_hidden_states")

    def spatial_rescaler(self, params: dict) -> None:
        """ldm/modules/encoders/modules.py:106–136, but mapped first, which comes to the same and needs no map of a channel for each class."""
        count, method = params.get("in_channels", 3), params.get("method", "bilinear")
        # The tracer knows no "area" of free sizes; the rest of theirs takes no maps.
        known = ("nearest", "bilinear", "bicubic")
        self.expect(method in known, "cond_stage_config: method", f"one of {', '.join(known)}", method)
        self.named(count, count)
        channels = params.get("out_channels")
        mapper = nn.Conv2d(count, channels or count, 1, bias=bool(channels and params.get("bias")))
        mapped = self.under("cond_stage_model.channel_mapper.")
        mapper.load_state_dict(mapped if channels else {"weight": torch.eye(count)[:, :, None, None]})

        def rescale(semantic_map):
            x = functional.embedding(semantic_map, mapper.weight[:, :, 0, 0].T).permute(0, 3, 1, 2)
            for _ in range(params.get("n_stages", 1)):
                x = functional.interpolate(x, scale_factor=params.get("multiplier", 0.5), mode=method)
            return x if mapper.bias is None else x + mapper.bias[:, None, None]

        given = {"semantic_map": (torch.zeros(1, 16, 16, dtype=torch.int64), {0: "batch_size", 1: "height", 2: "width"})}
        self.write("spatial_rescaler", mapper, {"n_classes": count}, rescale, given, "latent_map")

    def bert(self, params: dict) -> None:
        try:
            tokenizer = BertTokenizerFast.from_pretrained(self.given.tokenizer)
        except OSError as error:
            sys.exit(f"--tokenizer: expected a folder or a name on Hugging Face, got {self.given.tokenizer}: {str(error).splitlines()[0]}")
        self.transformer("bert", params, {})
        tokenizer.save_pretrained(self.target / "tokenizer")

    def layout_encoder(self, params: dict) -> None:
        """Three tokens a box, and two that say what was cropped."""
        length, tokens = params["max_seq_len"], params["vocab_size"]
        names = self.named(1, tokens - 1)
        config = {"no_object_classes": names, "no_max_objects": length // 3, "no_tokens": tokens, "encode_crop": length % 3 == 2}
        self.expect(length % 3 in (0, 2), "cond_stage_config: max_seq_len", "three tokens a box, and two or none more", length)
        self.transformer("layout_encoder", params, config)

    def transformer(self, name: str, params: dict, config: dict) -> None:
        """BERTEmbedder of ldm/modules/encoders/modules.py, without its tokenizer."""
        from ldm.modules.x_transformer import Encoder, TransformerWrapper

        length = params.get("max_seq_len", 77)
        layers = Encoder(dim=params["n_embed"], depth=params["n_layer"])
        network = TransformerWrapper(num_tokens=params.get("vocab_size", 30522), max_seq_len=length, attn_layers=layers)
        network.load_state_dict(self.under("cond_stage_model.transformer."))
        ids = {"input_ids": (torch.zeros(2, length, dtype=torch.int64), BATCH)}
        self.write(name, network, config, lambda ids: network(ids, return_embeddings=True), ids, "last_hidden_state")

    def named(self, least: int, most: int) -> int:
        """How many labels there are, which must be right."""
        count = len(self.labels or [])
        counts = f"{least} or {most}" if most == least + 1 else most if most == least else f"{least} to {most}"
        if not least <= count <= most:
            sys.exit(f"--labels: expected a file of {counts} lines, got {count}")
        self.index["id2label"] = {str(i): label for i, label in enumerate(self.labels)}
        return count

    def scheduler(self) -> None:
        """The schedule of ddpm.py:117–142, as it was trained with, and ddim.py's timesteps (one later than they are) and its last step."""
        config = self.config
        schedule, prediction = config.get("beta_schedule", "linear"), config.get("parameterization", "eps")
        self.expect(prediction in PREDICTIONS, "parameterization", f"one of {', '.join(PREDICTIONS)}", prediction)
        scheduler = DDIMScheduler(
            num_train_timesteps=config["timesteps"], beta_start=config.get("linear_start", 1e-4), beta_end=config.get("linear_end", 2e-2),
            beta_schedule=SCHEDULES.get(schedule, "linear"), prediction_type=PREDICTIONS[prediction], clip_sample=False, set_alpha_to_one=False, steps_offset=1,
        )
        # The authors' model has them as a buffer, so that a checkpoint's take the place of the config's; and not all of their schedules have a name in diffusers.
        named = schedule in SCHEDULES and not config.get("given_betas")
        betas = self.weights.get("betas", scheduler.betas if named else None)
        self.expect(betas is not None, "beta_schedule", f"one of {', '.join(SCHEDULES)}, for the checkpoint has no betas", schedule)
        self.expect(len(betas) == len(scheduler.betas), "timesteps", f"{len(betas)}, as the checkpoint has betas", config["timesteps"])
        if not torch.allclose(betas, scheduler.betas, rtol=1e-4):
            scheduler.register_to_config(trained_betas=betas.tolist())
        scheduler.save_pretrained(self.target / "scheduler")


class Autoencoder(nn.Module):
    """VQModelInterface and AutoencoderKL of ldm/models/autoencoder.py, without what trains them. Of KL, what it encodes is the mean."""

    def __init__(self, ddconfig: dict, embed_dim: int, quantises: bool, n_embed: int | None = None, **unused):
        super().__init__()
        from ldm.modules.diffusionmodules.model import Decoder, Encoder

        moments = 2 if ddconfig["double_z"] else 1
        self.encoder, self.decoder = Encoder(**ddconfig), Decoder(**ddconfig)
        self.quant_conv = nn.Conv2d(moments * ddconfig["z_channels"], moments * embed_dim, 1)
        self.post_quant_conv = nn.Conv2d(embed_dim, ddconfig["z_channels"], 1)
        self.quantize = nn.ModuleDict({"embedding": nn.Embedding(n_embed, embed_dim)}) if quantises else None

    def encode(self, image):
        return self.quant_conv(self.encoder(image))[:, : self.post_quant_conv.in_channels]

    def decode(self, z):
        return self.decoder(self.post_quant_conv(self.nearest(z) if self.quantize else z))

    def nearest(self, z):
        """
        taming/modules/vqvae/quantize.py:271–279: the codebook's row that is nearest to each latent, which half precision does not always tell. The latent's own
        square, the same for all rows, is left out, so that there is one table of a number for each latent and row, and not three: 0.5 GB for 128² latents and 8,192 rows.
        """
        codes = self.quantize["embedding"].weight
        flat, table = z.permute(0, 2, 3, 1).float(), codes.float()
        distances = torch.addmm((table**2).sum(1), flat.flatten(0, 2), table.T, alpha=-2)
        return functional.embedding(distances.argmin(1).view(flat.shape[:3]), codes).permute(0, 3, 1, 2)


class Pixels(nn.Module):
    """IdentityFirstStage of ldm/models/autoencoder.py: no first stage, the paper's LDM-1."""

    encode = decode = staticmethod(torch.clone)


class Nothing(dict):
    """Stands for whatever else a checkpoint holds: the state of its trainer."""

    def __init__(self, *_, **__):
        super().__init__()

    def __setstate__(self, state):
        pass

    def append(self, value):
        pass

    def extend(self, values):
        pass

    __hash__ = object.__hash__


class Weights(pickle.Unpickler):
    """Reads tensors. Nothing that a file names beside them is imported, nor called."""

    def find_class(self, module, name):
        known = {("collections", "OrderedDict"), ("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_parameter")}
        return super().find_class(module, name) if (module, name) in known else Nothing


def params_of(file: Path) -> dict:
    """`model: params` of a config, read as the authors' scripts read it: YAML's own parser takes 15e-4 for a word."""
    try:
        whole = OmegaConf.to_container(OmegaConf.load(file), resolve=True)
    except Exception as error:
        sys.exit(f"{file}: expected a config in YAML, got: {' '.join(str(error).split())}")
    model = whole.get("model") if isinstance(whole, dict) else None
    params = model.get("params") if isinstance(model, dict) else None
    return params if isinstance(params, dict) else {}


def read(file: Path) -> dict[str, torch.Tensor]:
    reader = SimpleNamespace(__name__="weights", Unpickler=Weights, load=lambda stream, **named: Weights(stream, **named).load())
    try:
        whole = torch.load(file, map_location="cpu", pickle_module=reader, weights_only=False)
    except Exception as error:
        sys.exit(f"{file}: expected a checkpoint of torch.save, got: {error}")
    if not isinstance(whole, dict) or not isinstance(whole.get("state_dict"), dict):
        sys.exit(f"{file}: expected a checkpoint of PyTorch Lightning, with a state_dict, got {type(whole).__name__}")
    return {name: weight.float() if weight.is_floating_point() else weight for name, weight in whole["state_dict"].items() if isinstance(weight, torch.Tensor)}


if __name__ == "__main__":
    main()
