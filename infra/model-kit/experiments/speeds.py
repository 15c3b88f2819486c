"""Pictures a second of every trained model through the server's engine, one after the other on one machine: their ratios are what counts."""

from . import compression, engine, export, results, super_resolution


def measure(count: int = 24, steps: int = 25) -> None:
    found = {"pictures": count, "steps": steps, "models": {}}

    def time(folder, steps: int, **asked) -> None:
        _, took = engine.draw(folder.name, count, steps, folder=folder.parent, **asked)
        found["models"][folder.name] = count / took.pop("seconds")
        found.update(took)

    for name in compression.SETTINGS:
        if compression.checkpoint(name).exists():
            time(export.unconditional(name), steps, task={"unconditional": {}})
    low = super_resolution.unseen(count)[1]
    for way in super_resolution.WAYS:
        if super_resolution.checkpoint(way).exists():
            time(export.upscaler(way), super_resolution.steps_of(way, steps), task=super_resolution.TASK, images=low)
    results.save("speeds", found)
