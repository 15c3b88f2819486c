"""Writes the tables and plots of the kit's README.md from the raw results: between `<!-- report: NAME -->` and `<!-- end of NAME -->`."""

from scenes.paths import KIT

from . import plot, results

PAGE, PLOTS = KIT / "README.md", KIT / "plots"


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]).replace("| --- |", "|---|").replace(" --- |", "---|")


def _first_stages(found: dict) -> str:
    rows = []
    for name, kind in found["kinds"].items():
        side = 128 // kind["f"]
        codes = f"{kind['used']} of {kind['codes']}, perplexity {kind['perplexity']:.0f}" if "codes" in kind else "–"
        rows.append([name.upper().replace("-F", ", f = "), f"{side}×{side}×{kind['channels']}", f"{3 * 128**2 / kind['numbers']:.0f}×", f"{kind['psnr']:.1f} dB", f"{kind['ssim']:.4f}",
                     codes, f"{(kind['encoder'] + kind['decoder']) / 1e6:.2f} M"])
    return _table(["first stage", "latents", "fewer numbers", "PSNR", "SSIM", "codebook in use", "parameters"], rows)


NAMES = {"bicubic": "bicubic", "regression": "image regression, pixels", "pixels": "diffusion in pixels (SR3)", "ldm": "LDM-SR, VQ f = 4"}


def _pace(name: str) -> str:
    """Pictures a second."""
    pace = (results.load("speeds") or {"models": {}})["models"].get(name)
    return f"{pace:.3g}" if pace else "–"


def _paced() -> str:
    speeds = results.load("speeds")
    return f" Pictures a second: {speeds['pictures']} at once, {speeds['threads']} threads of an {speeds['machine']}." if speeds else ""


def _super_resolution(found: dict) -> str:
    rows = []
    for way, name in NAMES.items():
        if each := found["ways"].get(way):
            size, minutes = (f"{each['parameters'] / 1e6:.2f} M", f"{each['minutes']:.1f}") if "parameters" in each else ("–", "–")
            rows.append([name, f"{each['frechet']:.0f}", f"{each['psnr']:.1f} dB", f"{each['ssim']:.4f}", f"{each['agrees']:.1f} dB", size, minutes, _pace(f"sr-{way}")])
    head = ["×4, 32 → 128", "Fréchet", "PSNR", "SSIM", "agrees", "U-Net", "minutes", "pictures/s"]
    shown = ", ".join(["the small pictures", *(NAMES[way] for way in found["ways"]), "the truth"])
    once = " (the regression one)" if "regression" in found["ways"] else ""
    return (f"{_table(head, rows)}\n\n![From the top: {shown}](plots/super-resolution.webp)\n\n"
            f"{found['pictures']} unseen pictures, {found['steps']} steps{once}. The Fréchet distance is to {found['real']} others; the true pictures are "
            f"{found['floor']:.0f} away. “Agrees”: PSNR of the drawn picture, shrunk again, with the input.{_paced()}")


def _compression(found: dict) -> str:
    pace = (results.load("speeds") or {"models": {}})["models"]
    drawn, points = "", [(pace[name], each["frechet"], name.upper()) for name, each in found["models"].items() if name in pace]
    if points:
        plot.save(PLOTS / "compression.svg", plot.Panel(f"Quality against speed, {next(iter(found['models'].values()))['minutes']:.1f} minutes of training each",
                  "pictures a second", "Fréchet distance", {"": points}, (True, True), (found["floor"], "real pictures")))
        drawn = "![Fréchet distance against pictures a second](plots/compression.svg)\n\n"
    rows = [[name.upper(), str(each["f"]), f"{each['parameters'] / 1e6:.2f} M", f"{each['minutes']:.1f}", str(each["steps"]), f"{each['frechet']:.0f}", _pace(name)]
            for name, each in found["models"].items()]
    head = ["model", "f", "U-Net", "minutes", "steps", "Fréchet", "pictures/s"]
    return (f"{drawn}{_table(head, rows)}\n\n"
            f"![Pictures of each, in the table's order](plots/compression.webp)\n\n"
            f"{found['pictures']} pictures of {found['steps']} steps each, against {found['real']} of the training's; as many real ones that it did not have are "
            f"{found['floor']:.0f} away.{_paced()}")


def _guidance(found: dict) -> str:
    scales = {float(scale): each for scale, each in sorted(found["scales"].items(), key=lambda item: float(item[0]))}
    accuracy = {"all four attributes": [(scale, 100 * each["single"]["all four"], None) for scale, each in scales.items()],
                "material": [(scale, 100 * each["single"]["material"], None) for scale, each in scales.items()],
                "both colours of two": [(scale, 100 * each["double"]["both colours"], None) for scale, each in scales.items()]}
    distance = {"": [(scale, each["frechet"], None) for scale, each in scales.items()]}
    plot.save(PLOTS / "guidance.svg", plot.Panel("Says what was asked", "guidance scale", "captions right, %", accuracy),
              plot.Panel("Looks real", "guidance scale", "Fréchet distance", distance, floor=(found["floor"], "real pictures")))
    rows = [[f"{scale:g}", *(f"{each['single'][name]:.3f}" for name in ("colour", "shape", "material", "all four", "one object")),
             *(f"{each['double'][name]:.2f}" for name in ("both colours", "both shapes", "two objects")), f"{each['frechet']:.0f}"] for scale, each in scales.items()]
    head = ["guidance", "colour", "shape", "material", "all four", "one object", "both colours", "both shapes", "two objects", "Fréchet"]
    return (f"![Accuracy and Fréchet distance against guidance](plots/guidance.svg)\n\n{_table(head, rows)}\n\n"
            f"{found['pictures']} captions of one object and {found['doubles']} of two, {found['steps']} steps. The distance is from {found['real']} real pictures of "
            f"one object to those drawn; {found['pictures']} other real ones are {found['floor']:.0f} away.")


WRITERS = {"first-stages": _first_stages, "super-resolution": _super_resolution, "compression": _compression, "guidance": _guidance}


def report() -> None:
    text = PAGE.read_text()
    for name, write in WRITERS.items():
        begin, end = f"<!-- report: {name} -->", f"<!-- end of {name} -->"
        found = results.load(name)
        if found is None:
            print(f"{name}: no results, left as it is")
            continue
        if begin not in text or end not in text:
            raise SystemExit(f"{PAGE}: expected the lines {begin} and {end}")
        before, after = text.split(begin)[0], text.split(end)[1]
        text = f"{before}{begin}\n{write(found)}\n{end}{after}"
    PAGE.write_text(text)
