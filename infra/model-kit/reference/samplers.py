"""Every scheduler of diffusers that there is a sampler for, walked with a function in the network's place."""

import json
import types

import diffusers
import numpy
import torch
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from golden import packed, write

STABLE_DIFFUSION = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
UNCLIPPED = {**STABLE_DIFFUSION, "clip_sample": False}
STEPS = (1, 2, 7, 50)
SPACINGS = ("leading", "trailing", "linspace")
BOTH = ("epsilon", "v_prediction")
ALL = (*BOTH, "sample")

# Darkroom's names, and what they mean here.
NAMES = {
    "ddpm": ("DDPMScheduler", {}),
    "ddim": ("DDIMScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "lms": ("LMSDiscreteScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler-ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "dpm++-2m": ("DPMSolverMultistepScheduler", {}),
    "dpm++-2m-karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "dpm++-2m-sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "dpm++-2m-sde-karras": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True},
    ),
    "unipc": ("UniPCMultistepScheduler", {}),
    "lcm": ("LCMScheduler", {}),
}


def case(cls: str, config: dict, predictions=BOTH, spacings=SPACINGS, steps=STEPS, eta=0, stepwise=False) -> dict:
    return locals()


def variant(cls: str, config: dict, **options) -> dict:
    """Beyond the grid: enough to see the setting."""
    return case(cls, config, **{"predictions": ("epsilon",), "spacings": ("leading",), "steps": (2, 20), **options})


DPM, UNIPC, EULER = "DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "EulerDiscreteScheduler"
SINGLE, EDM = "DPMSolverSinglestepScheduler", "EDMDPMSolverMultistepScheduler"
SDE = {**STABLE_DIFFUSION, "algorithm_type": "sde-dpmsolver++"}
PLMS = {**STABLE_DIFFUSION, "skip_prk_steps": True}
THRESHOLD = {"thresholding": True, "sample_max_value": 1.5, "dynamic_thresholding_ratio": 0.9}
ZERO_SNR = {**STABLE_DIFFUSION, "rescale_betas_zero_snr": True}
COSINE = {"beta_schedule": "squaredcos_cap_v2"}

CASES = [
    # The grid: every class, and every way of a solver.
    case("DDPMScheduler", UNCLIPPED),
    case("DDIMScheduler", {**UNCLIPPED, "set_alpha_to_one": False, "steps_offset": 1}),
    case("DDIMScheduler", UNCLIPPED, eta=0.6),
    case("PNDMScheduler", {**PLMS, "steps_offset": 1}),
    case("LMSDiscreteScheduler", STABLE_DIFFUSION),
    case(EULER, {**STABLE_DIFFUSION, "steps_offset": 1}),
    case("EulerAncestralDiscreteScheduler", STABLE_DIFFUSION),
    case("HeunDiscreteScheduler", STABLE_DIFFUSION),
    case(DPM, STABLE_DIFFUSION),
    case(DPM, {**STABLE_DIFFUSION, "solver_order": 3}),
    case(DPM, {**STABLE_DIFFUSION, "use_karras_sigmas": True}),
    case(DPM, SDE),
    case(DPM, {**SDE, "solver_order": 3, "use_karras_sigmas": True}),
    case(UNIPC, STABLE_DIFFUSION),
    case(UNIPC, {**STABLE_DIFFUSION, "solver_order": 3}),
    case(UNIPC, {**STABLE_DIFFUSION, "solver_type": "bh1", "final_sigmas_type": "sigma_min"}),
    case("LCMScheduler", {}, spacings=("leading",)),
    # Clipped guesses of the picture magnify what differs: compared step by step.
    case("DDPMScheduler", {}, stepwise=True),
    case("DDIMScheduler", {}, stepwise=True),
    case("DDIMScheduler", {"clip_sample_range": 2.0}, steps=(7,), eta=1, stepwise=True),
    case("DDPMScheduler", {**UNCLIPPED, **THRESHOLD}, steps=(7,), stepwise=True),
    case("DDIMScheduler", {**UNCLIPPED, **THRESHOLD}, steps=(7,), stepwise=True),
    # Settings of one class or another.
    variant("DDPMScheduler", {**UNCLIPPED, "variance_type": "fixed_large"}, predictions=ALL),
    variant("DDPMScheduler", {**UNCLIPPED, "variance_type": "fixed_small_log"}),
    variant("DDPMScheduler", {"beta_schedule": "sigmoid", "clip_sample": False}),
    variant("DDPMScheduler", {"beta_schedule": "laplace", "clip_sample": False}),
    variant("DDPMScheduler", {**ZERO_SNR, "clip_sample": False}, predictions=("v_prediction",), spacings=("trailing",)),
    variant("DDIMScheduler", {**UNCLIPPED}, predictions=("sample",), spacings=SPACINGS),
    variant("DDIMScheduler", {**ZERO_SNR, "clip_sample": False}, predictions=("v_prediction",), spacings=("trailing",)),
    variant("DDIMScheduler", {"rescale_betas_zero_snr": True}, spacings=("trailing",), stepwise=True),
    variant("DDIMScheduler", {**COSINE, "clip_sample": False}),
    variant("DDIMScheduler", {"num_train_timesteps": 4, "trained_betas": [0.1, 0.2, 0.3, 0.4], "clip_sample": False}, steps=(1, 2, 4)),
    variant("DDIMScheduler", UNCLIPPED, eta=1, steps=(500, 1000)),
    variant("PNDMScheduler", {**PLMS, "set_alpha_to_one": True}, steps=(2, 3, 4, 20)),
    variant("PNDMScheduler", {"skip_prk_steps": True}),
    variant("LMSDiscreteScheduler", {**STABLE_DIFFUSION, "use_karras_sigmas": True, "sigma_min": 0.1}, predictions=ALL),
    variant("LMSDiscreteScheduler", {**STABLE_DIFFUSION, "use_exponential_sigmas": True, "steps_offset": 1}),
    variant(EULER, {**STABLE_DIFFUSION, "use_karras_sigmas": True}, predictions=ALL, spacings=SPACINGS),
    variant(EULER, {**STABLE_DIFFUSION, "use_karras_sigmas": True, "sigma_min": 0.1, "sigma_max": 10.0}),
    variant(EULER, {**STABLE_DIFFUSION, "use_exponential_sigmas": True, "final_sigmas_type": "sigma_min"}),
    variant(EULER, {**STABLE_DIFFUSION, "interpolation_type": "log_linear"}),
    variant(EULER, {**STABLE_DIFFUSION, "interpolation_type": "log_linear", "use_karras_sigmas": True}),
    variant(
        EULER, {**STABLE_DIFFUSION, "timestep_type": "continuous", "use_karras_sigmas": True, "sigma_max": 700.0},
        predictions=("v_prediction",),
    ),
    variant(EULER, ZERO_SNR, predictions=BOTH, spacings=("trailing",)),
    variant(EULER, {}),
    variant("EulerAncestralDiscreteScheduler", ZERO_SNR, predictions=("v_prediction",), spacings=("trailing",)),
    variant("HeunDiscreteScheduler", {}, predictions=ALL),
    variant("HeunDiscreteScheduler", {**STABLE_DIFFUSION, "use_karras_sigmas": True}, spacings=SPACINGS),
    variant("HeunDiscreteScheduler", {"beta_schedule": "exp"}),
    variant("HeunDiscreteScheduler", {**STABLE_DIFFUSION, "clip_sample": True, "clip_sample_range": 3.0}),
    variant(DPM, {**STABLE_DIFFUSION, "solver_order": 1, "steps_offset": 1}, predictions=ALL),
    variant(DPM, {**STABLE_DIFFUSION, "solver_type": "heun"}),
    variant(DPM, {**STABLE_DIFFUSION, "solver_type": "bh2"}),
    variant(DPM, {**STABLE_DIFFUSION, "final_sigmas_type": "sigma_min", "euler_at_final": True}),
    variant(DPM, {**STABLE_DIFFUSION, "final_sigmas_type": "sigma_min", "lower_order_final": False, "solver_order": 3}),
    variant(DPM, {**STABLE_DIFFUSION, "use_exponential_sigmas": True}),
    variant(DPM, {"use_exponential_sigmas": True, "num_train_timesteps": 999}),
    variant(DPM, {**COSINE, "use_exponential_sigmas": True}),
    variant(DPM, {**COSINE, "use_karras_sigmas": True}),
    variant(DPM, {**COSINE, "lambda_min_clipped": -5.1}, spacings=SPACINGS),
    variant(DPM, {**STABLE_DIFFUSION, **THRESHOLD}),
    variant(DPM, ZERO_SNR, predictions=("v_prediction",), spacings=("trailing",)),
    variant(DPM, {**SDE, "solver_order": 1}),
    variant(DPM, {**SDE, "solver_type": "heun"}),
    variant(DPM, {**SDE, "solver_order": 3}, steps=(5, 16, 20)),
    variant(UNIPC, {**STABLE_DIFFUSION, "use_karras_sigmas": True}, predictions=ALL, spacings=SPACINGS),
    variant(UNIPC, {**STABLE_DIFFUSION, "use_karras_sigmas": True, "final_sigmas_type": "sigma_min"}),
    variant(UNIPC, {**STABLE_DIFFUSION, "use_exponential_sigmas": True}),
    variant(UNIPC, {**STABLE_DIFFUSION, "predict_x0": False, "final_sigmas_type": "sigma_min"}, predictions=ALL),
    variant(UNIPC, {**STABLE_DIFFUSION, "lower_order_final": False, "final_sigmas_type": "sigma_min", "solver_order": 3}),
    variant(UNIPC, {**STABLE_DIFFUSION, "disable_corrector": [0, 3], "solver_type": "midpoint"}),
    variant(UNIPC, {**STABLE_DIFFUSION, **THRESHOLD}),
    variant(UNIPC, ZERO_SNR, predictions=("v_prediction",), spacings=("trailing",)),
    variant("LCMScheduler", {"clip_sample": True, "original_inference_steps": 100}, predictions=ALL, steps=(3, 100)),
    variant("LCMScheduler", {**THRESHOLD}),
    variant("LCMScheduler", {"rescale_betas_zero_snr": True}, predictions=("v_prediction",)),
    # What models come with, and no request names.
    case("DEISMultistepScheduler", STABLE_DIFFUSION),
    case("DEISMultistepScheduler", {**STABLE_DIFFUSION, "solver_order": 3}),
    variant("DEISMultistepScheduler", {**STABLE_DIFFUSION, "use_karras_sigmas": True, "solver_type": "bh2"}, predictions=ALL, spacings=SPACINGS),
    variant("DEISMultistepScheduler", {**STABLE_DIFFUSION, "use_exponential_sigmas": True, "solver_order": 3, "steps_offset": 1}),
    variant("DEISMultistepScheduler", {**COSINE, "lower_order_final": False, "algorithm_type": "dpmsolver++"}, steps=(2, 5, 20)),
    variant("DEISMultistepScheduler", {**STABLE_DIFFUSION, **THRESHOLD, "solver_order": 1}),
    case(SINGLE, STABLE_DIFFUSION, spacings=("leading",)),
    case(SINGLE, {**STABLE_DIFFUSION, "solver_order": 3}, spacings=("leading",), steps=(1, 2, 3, 4, 5, 20, 21)),
    case(SINGLE, {**SDE, "lower_order_final": True}, spacings=("leading",)),
    variant(SINGLE, {**SDE, "solver_order": 3, "use_karras_sigmas": True, "lower_order_final": True}, steps=(6, 7, 8)),
    variant(SINGLE, {**SDE, "solver_order": 3, "solver_type": "heun"}, steps=(6, 20)),
    variant(SINGLE, {**STABLE_DIFFUSION, "solver_order": 3, "solver_type": "heun", "final_sigmas_type": "sigma_min"}, steps=(5, 6, 20, 21)),
    variant(SINGLE, {**STABLE_DIFFUSION, "solver_type": "heun", "final_sigmas_type": "sigma_min"}, predictions=ALL, steps=(5, 6)),
    variant(SINGLE, {**STABLE_DIFFUSION, "final_sigmas_type": "sigma_min", "lower_order_final": True, "solver_order": 3}, steps=(5, 6, 7)),
    variant(SINGLE, {**COSINE, "lambda_min_clipped": -5.1, "solver_type": "bh2", "final_sigmas_type": "sigma_min"}),
    variant(SINGLE, {**STABLE_DIFFUSION, **THRESHOLD, "use_exponential_sigmas": True}),
    case("KDPM2DiscreteScheduler", STABLE_DIFFUSION),
    variant("KDPM2DiscreteScheduler", {**COSINE, "steps_offset": 1}),
    variant("KDPM2DiscreteScheduler", {**STABLE_DIFFUSION, "use_karras_sigmas": True}, predictions=BOTH, spacings=SPACINGS),
    variant("KDPM2DiscreteScheduler", {"use_exponential_sigmas": True}),
    # In two steps from one end of training to the other a last digit decides how far below the second one is.
    case("KDPM2AncestralDiscreteScheduler", {**STABLE_DIFFUSION, "steps_offset": 1}, steps=(1, 7, 50)),
    variant("KDPM2AncestralDiscreteScheduler", {**STABLE_DIFFUSION, "use_karras_sigmas": True}, predictions=BOTH, spacings=SPACINGS, steps=(7, 20)),
    case("TCDScheduler", {}, predictions=ALL, spacings=("leading",), steps=(1, 2, 7, 50)),
    case("TCDScheduler", {"original_inference_steps": 100}, spacings=("leading",), steps=(1, 4, 30), eta=0.3),
    variant("TCDScheduler", {"rescale_betas_zero_snr": True, "beta_schedule": "linear"}, predictions=("v_prediction",), steps=(4,), eta=1),
    case("EDMEulerScheduler", {}, spacings=("leading",)),
    variant("EDMEulerScheduler", {"sigma_schedule": "exponential", "final_sigmas_type": "sigma_min", "sigma_data": 1.0, "sigma_max": 120.0}),
    variant("EDMEulerScheduler", {"rho": 3, "final_sigmas_type": "sigma_min"}),
    case(EDM, {}, spacings=("leading",)),
    case(EDM, {"solver_order": 3}, spacings=("leading",)),
    variant(EDM, {"algorithm_type": "sde-dpmsolver++", "solver_type": "heun", "sigma_schedule": "exponential"}),
    variant(EDM, {"algorithm_type": "sde-dpmsolver++", "euler_at_final": True, "final_sigmas_type": "sigma_min"}),
    variant(EDM, {**THRESHOLD, "solver_type": "bh2", "lower_order_final": False}),
    # Levels after a beta distribution, and even in λ.
    variant(EULER, {**STABLE_DIFFUSION, "use_beta_sigmas": True}, predictions=ALL, spacings=SPACINGS),
    variant("HeunDiscreteScheduler", {"use_beta_sigmas": True, "sigma_max": 10.0}),
    variant("KDPM2DiscreteScheduler", {**STABLE_DIFFUSION, "use_beta_sigmas": True}),
    variant(DPM, {**STABLE_DIFFUSION, "use_beta_sigmas": True}, steps=(1, 5, 20)),
    variant(DPM, {**STABLE_DIFFUSION, "use_lu_lambdas": True}, predictions=BOTH, steps=(1, 5, 20)),
    variant("DEISMultistepScheduler", {**STABLE_DIFFUSION, "use_beta_sigmas": True}),
    variant(UNIPC, {**STABLE_DIFFUSION, "use_beta_sigmas": True}),
    # By Runge–Kutta first.
    case("PNDMScheduler", {}, steps=(4, 7, 50)),
    variant("PNDMScheduler", {**STABLE_DIFFUSION, "set_alpha_to_one": True, "steps_offset": 1}, predictions=BOTH, steps=(5, 333)),
    variant("PNDMScheduler", {**COSINE, "skip_prk_steps": True}, predictions=("v_prediction",), spacings=("trailing",), steps=(6, 10)),
    variant("PNDMScheduler", COSINE, predictions=("v_prediction",), spacings=("trailing",), steps=(6, 12)),
    # Evenly spread from the end of training, which is a whole timestep.
    variant(DPM, {**COSINE, "use_lu_lambdas": True}, steps=(1, 10)),
    # From σ = 20,000 on, where roundings are most of what is left of x.
    variant("HeunDiscreteScheduler", COSINE, predictions=("v_prediction", "sample"), spacings=("linspace",)),
    variant("LMSDiscreteScheduler", COSINE, predictions=("v_prediction", "sample"), spacings=("linspace",)),
    # Where the last σ of training, set to 4096, is less than those before it.
    variant(DPM, {"rescale_betas_zero_snr": True, "use_lu_lambdas": True}, predictions=("v_prediction",), spacings=("trailing",)),
]

# The reference raises an error, or gives NaN or infinity.
REFUSED = [
    ("DDIMScheduler", {}, 1001),
    ("DDIMScheduler", {"steps_offset": 1}, 1000),
    ("DDIMScheduler", {"clip_sample": False, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}, 5),
    ("DDIMScheduler", {**THRESHOLD, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}, 5),
    ("DDPMScheduler", {}, 1001),
    ("DDPMScheduler", {"variance_type": "fixed_large_log"}, 5),
    ("DDPMScheduler", {"variance_type": "learned"}, 5),
    ("DDIMScheduler", {"prediction_type": "flow_prediction"}, 5),
    ("DDIMScheduler", {"beta_schedule": "sigmoid"}, 5),
    ("PNDMScheduler", {"skip_prk_steps": True, "prediction_type": "sample"}, 5),
    ("PNDMScheduler", {}, 3),
    ("EulerAncestralDiscreteScheduler", {"prediction_type": "sample"}, 5),
    (EULER, {"use_karras_sigmas": True, "use_exponential_sigmas": True}, 5),
    (EULER, {"use_beta_sigmas": True, "use_exponential_sigmas": True}, 5),
    (EULER, {"timestep_spacing": "uniform"}, 5),
    (DPM, {"algorithm_type": "dpmsolver"}, 5),
    (DPM, {"algorithm_type": "deis"}, 5),
    (DPM, {"solver_type": "euler"}, 5),
    (DPM, {"use_karras_sigmas": True, "final_sigmas_type": "sigma_min", "solver_type": "heun"}, 20),
    (UNIPC, {"solver_type": "bh1"}, 5),
    (UNIPC, {"predict_x0": False}, 5),
    (UNIPC, {"lower_order_final": False}, 5),
    (UNIPC, {"shift_terminal": 0.1}, 5),
    ("LCMScheduler", {}, 51),
    ("LCMScheduler", {"original_inference_steps": 2000}, 4),
    ("DEISMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, 5),
    ("DEISMultistepScheduler", {"solver_type": "euler"}, 5),
    (SINGLE, {"solver_order": 4}, 5),
    (SINGLE, {"algorithm_type": "dpmsolver"}, 5),
    ("KDPM2DiscreteScheduler", {"prediction_type": "sample"}, 5),
    ("KDPM2AncestralDiscreteScheduler", {"use_karras_sigmas": True, "use_exponential_sigmas": True}, 5),
    ("TCDScheduler", {}, 51),
    ("EDMEulerScheduler", {"prediction_type": "sample"}, 5),
    ("EDMEulerScheduler", {"sigma_schedule": "linear"}, 5),
    (EDM, {"algorithm_type": "sde-dpmsolver++", "solver_order": 3}, 20),
]

FLOW = "FlowMatchEulerDiscreteScheduler"
DYNAMIC = {"use_dynamic_shifting": True}
# Settings, patches of the latent, and whether the pipeline hands in levels, as FLUX's does.
FLOWS = [
    ({}, 16, False),
    ({"shift": 3.0}, 16, False),
    ({"shift": 0.3, "num_train_timesteps": 500}, 16, False),
    ({"shift": 3.0}, 16, True),
    (DYNAMIC, 256, False),
    (DYNAMIC, 1024, True),
    ({**DYNAMIC, "base_shift": 0.3, "max_shift": 2.0, "base_image_seq_len": 100, "max_image_seq_len": 9000}, 12_000, True),
    ({**DYNAMIC, "time_shift_type": "linear"}, 4096, True),
    ({**DYNAMIC, "shift_terminal": 0.02}, 700, True),
    ({"shift_terminal": 0.1, "shift": 2.0}, 16, False),
    ({"shift": 3.0, "use_karras_sigmas": True}, 16, False),
    ({**DYNAMIC, "use_exponential_sigmas": True}, 4096, True),
    ({"shift": 3.0, "use_beta_sigmas": True}, 16, False),
    ({"shift": 3.0, "stochastic_sampling": True}, 16, False),
]

# The reference raises an error, or gives NaN, infinity, or levels below zero.
FLOWS_REFUSED = [
    ({"shift_terminal": 0.1}, 16, 1),
    ({"use_karras_sigmas": True, "use_beta_sigmas": True}, 16, 5),
    ({"time_shift_type": "cosine"}, 16, 5),
    ({**DYNAMIC, "max_image_seq_len": 256}, 16, 5),
    ({**DYNAMIC, "time_shift_type": "linear", "base_shift": 0.0}, 256, 5),
]


def network(x: torch.Tensor, t: float) -> torch.Tensor:
    """Stands for the network; the tests have the same function. Half of it depends on the timestep."""
    values = x.numpy().astype(numpy.float64).ravel()
    answer = 0.5 * values + 0.5 * numpy.tanh(values + 2 * numpy.sin(0.3 * float(t) + numpy.arange(values.size)))
    return torch.from_numpy(answer.astype(numpy.float32)).reshape(x.shape)


def walk(scheduler, steps: int, shape: tuple, seed: int, eta: float, **given) -> dict:
    generator = torch.Generator("cpu").manual_seed(seed)
    scheduler.set_timesteps(steps, **given)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)
    x = torch.randn(shape, generator=generator) * getattr(scheduler, "init_noise_sigma", 1)
    states, x0 = [x], None
    takes = scheduler.step.__code__.co_varnames
    arguments = {"generator": generator} if "generator" in takes else {}
    if "eta" in takes:
        arguments["eta"] = eta
    for t in scheduler.timesteps:
        shown = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        step = scheduler.step(network(shown, t), t, x, **arguments)
        x, x0 = step.prev_sample, step.get("denoised", step.get("pred_original_sample"))
        states.append(x)
    assert torch.isfinite(x).all(), "not finite"
    return {"timesteps": scheduler.timesteps, "states": states, "x0": x0}


def make(cls: str, config: dict):
    # As from a file: keys of other classes are kept where the solvers look for them.
    return getattr(diffusers, cls).from_config(config)


def samplers() -> None:
    cases = []
    for seed, each in enumerate(CASES):
        shape = (1, 4, 2, 2) if each["stepwise"] else (1, 4, 4, 4)
        runs = []
        for prediction in each["predictions"]:
            for spacing in each["spacings"]:
                for steps in each["steps"]:
                    setting = {"prediction_type": prediction, "timestep_spacing": spacing}
                    try:
                        walked = walk(make(each["cls"], {**each["config"], **setting}), steps, shape, seed, each["eta"])
                    except Exception as error:
                        raise RuntimeError(f"{each} {prediction} {spacing} {steps}") from error
                    run = {**setting, "steps": steps, "timesteps": packed(walked["timesteps"])}
                    states = walked["states"] if each["stepwise"] else walked["states"][-1:]
                    run["x"] = packed(torch.cat(states))
                    if walked["x0"] is not None and (steps == 7 or each["stepwise"]):
                        run["x0"] = packed(walked["x0"])
                    runs.append(run)
        about = {"class": each["cls"], "config": each["config"], "eta": each["eta"], "seed": seed, "dims": shape[1:]}
        cases.append({**about, "stepwise": each["stepwise"], "runs": runs})

    refused = []
    for cls, config, steps in REFUSED:
        try:
            walk(make(cls, config), steps, (1, 4, 4, 4), 0, 0)
        except Exception as error:
            refused.append({"class": cls, "config": config, "steps": steps, "reference": str(error).strip().split("\n")[0]})
        else:
            raise AssertionError(f"not refused: {cls} {config} {steps}")
    ratios = numpy.geomspace(0.01, 20000, 500, dtype=numpy.float32)
    logarithms = {"x": packed(ratios), "log": packed(numpy.log(ratios))}
    more = {"conversions": conversions(), "logarithms": logarithms, "flows": flows(), "strengths": strengths()}
    write("samplers.json.gz", {"cases": cases, "refused": refused, **more})


def conversions() -> list[dict]:
    """Settings that one class saved, read by each of the others, as a request's `sampler` does."""
    saved = [
        diffusers.DDIMScheduler(**UNCLIPPED, steps_offset=1, prediction_type="v_prediction", timestep_spacing="trailing"),
        diffusers.PNDMScheduler(**PLMS, steps_offset=1),
        diffusers.DPMSolverMultistepScheduler(**STABLE_DIFFUSION, use_karras_sigmas=True, solver_order=3),
        diffusers.UniPCMultistepScheduler(**ZERO_SNR, prediction_type="v_prediction", timestep_spacing="trailing"),
        diffusers.DPMSolverSinglestepScheduler(**STABLE_DIFFUSION, solver_type="heun", use_karras_sigmas=True, lower_order_final=True),
        diffusers.KDPM2AncestralDiscreteScheduler(**STABLE_DIFFUSION, timestep_spacing="trailing"),
        diffusers.TCDScheduler(beta_start=0.00085, prediction_type="v_prediction"),
        diffusers.DEISMultistepScheduler(**STABLE_DIFFUSION, solver_order=3),
    ]
    # As from a file: every key is said, none is a default.
    files = [(each.to_json_string(), {key: value for key, value in each.config.items() if key != "_use_default_values"}) for each in saved]
    # A solver type that the class takes for another one, and hands on as that.
    for cls, solver_type in ((UNIPC, "heun"), (DPM, "bh1")):
        config = {**STABLE_DIFFUSION, "solver_type": solver_type}
        files.append((json.dumps({"_class_name": cls, **config}), make(cls, config).config))
    made = []
    for text, config in files:
        runs = []
        for name, (cls, overrides) in NAMES.items():
            other = getattr(diffusers, cls)
            if config.get("algorithm_type") == "deis" and cls == DPM:
                # Which it means by that, but refuses beside its own default, "zero".
                overrides = {"algorithm_type": "dpmsolver++", **overrides}
            walked = walk(other.from_config(config, **overrides), 12, (1, 4, 4, 4), 1, 0)
            runs.append({"sampler": name, "timesteps": packed(walked["timesteps"]), "x": packed(walked["states"][-1])})
        made.append({"json": text, "steps": 12, "seed": 1, "dims": [4, 4, 4], "runs": runs})
    return made


def flow_walk(config: dict, patches: int, handed: bool, steps: int, seed: int) -> dict:
    scheduler = make(FLOW, config)
    given = {"sigmas": numpy.linspace(1.0, 1 / steps, steps)} if handed else {}
    if scheduler.config.use_dynamic_shifting:
        names = ("base_image_seq_len", "max_image_seq_len", "base_shift", "max_shift")
        given["mu"] = calculate_shift(patches, *(scheduler.config[name] for name in names))
    return {"scheduler": scheduler, **walk(scheduler, steps, (1, 4, 4, 4), seed, 0, **given)}


def flows() -> dict:
    """Walks of models that were trained as flows, and what a picture of ones is with noise of twos in the midst of one."""
    cases, refused = [], []
    for seed, (config, patches, handed) in enumerate(FLOWS):
        runs = []
        for steps in STEPS[1:] if "shift_terminal" in config else STEPS:
            walked = flow_walk(config, patches, handed, steps, seed)
            scheduler = walked["scheduler"]
            # As image-to-image begins: before any step.
            scheduler._step_index = None
            scheduler.set_begin_index(steps // 2)
            noised = scheduler.scale_noise(torch.ones(1), scheduler.timesteps[steps // 2][None], 2 * torch.ones(1))
            runs.append({"steps": steps, "timesteps": packed(walked["timesteps"]), "x": packed(walked["states"][-1]), "noised": noised.item()})
        cases.append({"config": config, "patches": patches, "handed": handed, "seed": seed, "dims": (4, 4, 4), "runs": runs})
    for config, patches, steps in FLOWS_REFUSED:
        try:
            walked = flow_walk(config, patches, False, steps, 0)
            assert (walked["scheduler"].sigmas >= 0).all(), "levels below zero"
        except Exception as error:
            refused.append({"config": config, "patches": patches, "steps": steps, "reference": str(error).strip().split("\n")[0]})
        else:
            raise AssertionError(f"not refused: {config} {steps}")
    return {"cases": cases, "refused": refused}


def strengths() -> list[dict]:
    """Steps that image-to-image takes of a walk, in Stable Diffusion's pipeline and in one of flows."""
    pipelines = {"whole": diffusers.StableDiffusionImg2ImgPipeline, "begun": diffusers.StableDiffusion3Img2ImgPipeline}
    made = []
    for steps, strength in ((1, 1), (10, 0.75), (10, 0.7), (28, 0.6), (50, 0.55), (7, 0.3), (30, 0.9), (20, 0.05), (3, 0.99), (5, 0.21)):
        scheduler = types.SimpleNamespace(timesteps=torch.arange(steps), order=1)
        left = {name: cls.get_timesteps(types.SimpleNamespace(scheduler=scheduler), steps, strength, "cpu")[1] for name, cls in pipelines.items()}
        made.append({"steps": steps, "strength": strength, **left})
    return made
