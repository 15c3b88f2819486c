"""python -m experiments <command>: trains and measures the paper's experiments, and writes the report. Run from infra/model-kit."""

import argparse

WAYS = ["ldm", "pixels", "regression"]
SETTINGS = ["ldm-1", "ldm-2", "ldm-4", "ldm-8", "ldm-16"]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments", description="The paper's experiments on the scenes data.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def command(name: str, about: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=about, description=about, formatter_class=argparse.ArgumentDefaultsHelpFormatter)

    for name, about, choices in [("super-resolution", "train one of the ways to enlarge pictures (resumable)", WAYS),
                                 ("compression", "train one of the unconditional models (resumable)", SETTINGS)]:
        training = command(name, about)
        training.add_argument("which", choices=choices)
        training.add_argument("--minutes", type=float, default=4, help="budget; the learning rate falls to 0 at its end")
    measuring = command("measure", "measure what was trained, through the server's engine, and keep the raw results")
    measuring.add_argument("what", choices=["first-stages", "super-resolution", "compression", "speeds", "guidance"])
    measuring.add_argument("--scales", type=float, nargs="*", help="of guidance alone: these and no others")
    command("export", "write LDM-SR's ONNX files to worker-gpu/models")
    command("report", "write the tables and plots of README.md from the raw results")
    return parser.parse_args()


def main() -> None:
    given = _arguments()
    # Imported late: torch takes seconds.
    if given.command == "super-resolution":
        from . import super_resolution

        super_resolution.train(given.which, given.minutes)
    elif given.command == "compression":
        from . import compression

        compression.train(given.which, given.minutes)
    elif given.command == "measure":
        import importlib

        of = importlib.import_module(f".{given.what.replace('-', '_')}", __package__)
        of.measure(given.scales) if given.scales else of.measure()
    elif given.command == "export":
        from . import export

        export.demo()
    elif given.command == "report":
        from . import report

        report.report()


if __name__ == "__main__":
    main()
