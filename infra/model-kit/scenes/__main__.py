"""python -m scenes <command>: every step from nothing to the shipped model. Run from infra/model-kit."""

import argparse
from pathlib import Path


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scenes", description="Trains and exports the demo model “scenes”.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def command(name: str, about: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=about, description=about, formatter_class=argparse.ArgumentDefaultsHelpFormatter)

    rendering = command("data", "render the data sets (resumable)")
    rendering.add_argument("--processes", type=int, help="default: one per core")
    rendering.add_argument("--scenes", type=int, help="of the training set; default: 28000, a GPU makes use of more")
    stage = command("first-stage", "train a first stage, then encode the data (resumable)")
    stage.add_argument("--minutes", type=float, default=13, help="budget; the learning rate falls to 0 at its end")
    for name, about, minutes in [("judge", "train the classifier that reads pictures, and export it", 5),
                                 ("train", "train the denoiser and its text encoder (resumable)", 70),
                                 ("translator", "train what reads prompts worded freely, and put it in front of the shipped text encoders", 16)]:
        command(name, about).add_argument("--minutes", type=float, default=minutes, help="budget; the learning rate falls to 0 at its end")
    polish = command("polish", "train a finished first stage's decoder a while longer; latents stay as they are")
    polish.add_argument("--minutes", type=float, default=5, help="budget")
    for each in (stage, polish):
        each.add_argument("--kind", default="kl-f8", help="of scenes/first_stage.py: vq-f4, kl-f2, kl-f4, kl-f8, kl-f16")
    command("restore", "make the shipped weights checkpoints again, to go on with first-stage, train or polish where the work folder is gone")
    saying = command("say", "say prompts again as the translator understands them; without any, those written by hand, and how many rightly")
    saying.add_argument("prompts", nargs="*", metavar="PROMPT")
    drawing = command("sheet", "draw a sheet of captioned samples")
    drawing.add_argument("--seed", type=int, default=0)
    drawing.add_argument("--to", type=Path, help="PNG or WebP file; default: sheet.png in the work folder")
    evaluation = command("evaluate", "draw the fixed captions and judge them (for tuning)")
    evaluation.add_argument("--guidance", type=float, default=3.0)
    evaluation.add_argument("--steps", type=int, default=25)
    evaluation.add_argument("--share", type=float, default=1.0, help="part of the captions to draw")
    exporting = command("export", "write ONNX files to worker-gpu/models/scenes")
    exporting.add_argument("--untrained", action="store_true", help="random weights: the layout alone")
    command("bench", "time the exported graphs on two threads")
    others = command("rivals", "time diffusers or Optimum on the shipped weights, as JSON")
    others.add_argument("server", choices=["diffusers", "optimum"], help="optimum: in an environment of scenes/requirements-optimum.txt")
    others.add_argument("--steps", type=int, nargs="*", default=[25], help="of the pictures that are drawn one after another")
    others.add_argument("--times", type=int, default=5, help="runs, of which the median counts")
    return parser.parse_args()


def main() -> None:
    given = _arguments()
    # Imported late: torch takes seconds, and rendering needs only numpy.
    if given.command == "data":
        from . import data

        data.make(given.processes, given.scenes)
    elif given.command == "first-stage":
        from . import first_stage_training

        first_stage_training.train(given.kind, given.minutes)
    elif given.command == "polish":
        from . import first_stage_training

        first_stage_training.polish(given.kind, given.minutes)
    elif given.command == "judge":
        from . import export_judge, judge, questions

        judge.train(given.minutes)
        export_judge.export()
        questions.write()
    elif given.command == "train":
        from . import train

        train.train(given.minutes)
    elif given.command == "translator":
        from . import paths, shipped, translator_training

        translator_training.train(given.minutes)
        shipped.translate([paths.MODEL, paths.MODEL.with_name("scenes-inpainting")])
    elif given.command == "restore":
        from . import shipped

        shipped.restore()
    elif given.command == "say":
        from . import say

        say.say(given.prompts)
    elif given.command == "sheet":
        from . import sheet

        sheet.sheet(given.to, given.seed)
    elif given.command == "evaluate":
        from . import evaluate

        evaluate.evaluate(given.guidance, given.steps, given.share)
    elif given.command == "export":
        from . import export, pipeline, train

        pipeline.untrained() if given.untrained else train.finish()
        export.export(given.untrained)
    elif given.command == "bench":
        from . import bench

        bench.bench()
    elif given.command == "rivals":
        from . import rivals

        rivals.rivals(given.server, given.steps, given.times)


if __name__ == "__main__":
    main()
