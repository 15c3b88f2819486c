"""Graphs of real sizes, without their weights: those are drawn where the graphs are run (weights.ts).

    python infra/gpu/graphs [--tiny | --plain] [MODEL …]

Writes .data/gpu/models/{real,tiny,plain}/MODEL, folders in the diffusers ONNX layout. Real ones are in half precision, fused for CUDA by ONNX Runtime's
own optimiser; plain ones are not fused; tiny ones are as exported, in float32, for the CPU knows no fused GroupNorm. Needs what infra/model-kit/requirements.txt lists.
"""

import argparse
import json
import shutil
import sys
import warnings
from collections import Counter
from pathlib import Path

import torch
from hollow import hollow, operations, trace
from networks import WORDS, ClassEmbedder, models

root = Path(__file__).parents[3]
sys.path.append(str(root / "infra/model-kit/export"))
import parts  # noqa: E402
from weightless import finish, fuse, halve, hollow_out  # noqa: E402

warnings.filterwarnings("ignore")
FUSED = {"unet": "unet", "vae_decoder": "vae", "vqvae_decoder": "vae"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python infra/gpu/graphs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", metavar="MODEL", nargs="*", choices=[*models(), []], help=f"{', '.join(models())}; default: all")
    parser.add_argument("--tiny", action="store_const", dest="kind", const="tiny", default="real")
    parser.add_argument("--plain", action="store_const", dest="kind", const="plain")
    given = parser.parse_args()
    known = models(given.kind == "tiny")
    for name in given.names or known:
        write(root / ".data/gpu/models" / given.kind / name, known[name], given.kind)


def write(folder: Path, networks: dict, kind: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)

    def export(target: Path, network: torch.nn.Module, forward, inputs: dict, outputs: str | list[str]) -> None:
        if target.name.endswith("vae_encoder"):
            return  # Nothing that is measured encodes.
        config = getattr(network, "config", None)
        target.mkdir()
        (target / "config.json").write_text(json.dumps(dict(config) if isinstance(config, dict) else config.to_dict() if config else CLASSES, indent="\t"))
        graph = trace(network, forward, inputs, [outputs] if isinstance(outputs, str) else outputs)
        hollow_out(graph.graph, list(inputs))
        if kind != "tiny":
            if kind == "real" and target.name in FUSED:
                fuse(graph, FUSED[target.name], config.block_out_channels[0])
            halve(graph)
        drawn = finish(graph, target, operations(network, forward, inputs) if target.name == "unet" else None)
        operators = Counter(node.op_type for node in graph.graph.node if node.domain)
        print(f"{folder.name}/{target.name}: {drawn / 1e6:.1f} M weights, {len(graph.graph.node)} nodes", dict(operators) or "", flush=True)

    # The export kit knows the inputs and outputs of every network.
    parts.export, parts.gather = export, lambda folder: None
    for part, make in networks.items():
        if part == "class":
            continue
        made = make() if part == "scheduler" else hollow(make)
        network = type(made).__name__
        if part == "scheduler":
            made.save_pretrained(folder / part)
        elif network in parts.NETWORKS:
            parts.exporter(made, networks["class"])(folder, part, made)
        elif network in parts.TEXT:
            parts.TEXT[network](folder, part, made, WORDS)
            tokenizer(folder / part.replace("text_encoder", "tokenizer").replace("bert", "tokenizer"))
        elif isinstance(made, ClassEmbedder):
            labels = {"class_labels": (torch.zeros(2, dtype=torch.int64), {0: "batch_size"})}
            export(folder / part, made, made, labels, "encoder_hidden_states")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": networks["class"]}) + "\n")


CLASSES = {"n_classes": 1001, "unconditional_class": 1000}


def tokenizer(folder: Path) -> None:
    """Some words of it are known to everyone: what they are makes no difference to weights that mean nothing."""
    shutil.copytree(root / "worker-gpu/golden/tiny/tokenizer", folder)
    config = folder / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_max_length": WORDS}))


if __name__ == "__main__":
    main()
