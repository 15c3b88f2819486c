"""python -m tasks <command>: the demo models of the paper's other tasks, after scenes/ has made its own. Run from infra/model-kit."""

import argparse


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tasks", description="Trains and exports the demo models of the paper's other tasks.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, about, minutes in [("layout", "train the U-Net of boxes and classes (resumable)", 25),
                                 ("inpainting", "train the U-Net that is shown a masked picture (resumable)", 12),
                                 ("reader", "train the network that tells where in a picture objects are", 2),
                                 ("semantic", "train the U-Net that is shown a map (resumable)", 10)]:
        command = commands.add_parser(name, help=about, description=about, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        command.add_argument("--minutes", type=float, default=minutes, help="budget; the learning rate falls to 0 at its end")
    commands.add_parser("questions", help="write what the models are evaluated with to judge/")
    exporting = commands.add_parser("export", help="write ONNX files to worker-gpu/models")
    exporting.add_argument("models", nargs="*", help="layout (classes with it), inpainting, semantic, unconditional; default: all")
    return parser.parse_args()


def main() -> None:
    given = _arguments()
    # Imported late: torch takes seconds.
    if given.command == "layout":
        from . import layout

        layout.train(given.minutes)
    elif given.command == "inpainting":
        from . import inpainting

        inpainting.train(given.minutes)
    elif given.command == "semantic":
        from . import semantic

        semantic.train(given.minutes)
    elif given.command == "reader":
        from . import reader

        reader.train(given.minutes)
    elif given.command == "questions":
        from . import questions

        questions.write()
    elif given.command == "export":
        from . import export

        for name in given.models or export.EXPORTS:
            export.EXPORTS[name]()


if __name__ == "__main__":
    main()
