"""Where things lie. Everything heavy is under WORK, which git ignores; MODEL_KIT_WORK moves it."""

import os
from pathlib import Path

KIT = Path(__file__).resolve().parent.parent
WORK = Path(os.environ.get("MODEL_KIT_WORK", KIT / ".work"))
MODEL = KIT.parent.parent / "worker-gpu" / "models" / "scenes"
JUDGE = KIT / "judge"

DATA = WORK / "data"
FIRST_STAGE = WORK / "first-stage.pt"
LATENTS = WORK / "latents.pt"
DENOISER = WORK / "denoiser.pt"
TRANSLATOR = WORK / "translator.pt"
JUDGE_WEIGHTS = WORK / "judge.pt"
PIPELINE = WORK / "pipeline"
