"""What pictures are measured by: uint8 [N, H, W, 3] in, numbers out."""

import numpy as np
import onnx
import onnxruntime
from scipy.ndimage import gaussian_filter
from scenes.paths import JUDGE

LUMA = np.array([0.299, 0.587, 0.114])


def psnr(drawn: np.ndarray, truth: np.ndarray) -> float:
    """Decibels, mean over pictures."""
    error = ((drawn.astype(np.float64) - truth) ** 2).mean((1, 2, 3))
    return float((10 * np.log10(255**2 / np.maximum(error, 1e-3))).mean())


def ssim(drawn: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity of the luma (Wang et al., 2004: Gaussian window, σ = 1.5), mean over pictures."""
    a, b = drawn @ LUMA, truth @ LUMA
    # Of the window of 11 pixels; filtered within each picture alone.
    blur = lambda x: gaussian_filter(x, sigma=(0, 1.5, 1.5), truncate=3.5)
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b, both = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    likeness = (2 * mean_a * mean_b + c1) * (2 * both + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return float(likeness.mean())


class Judge:
    """The shipped classifier: its answers, and what it answers from, 256 pooled features (128 means, 128 maxima)."""

    def __init__(self):
        graph = onnx.load(JUDGE / "judge.onnx")
        head = next(node for node in graph.graph.node if "count" in node.output)
        self._pooled = head.input[0]
        graph.graph.output.append(onnx.helper.make_tensor_value_info(self._pooled, onnx.TensorProto.FLOAT, ["batch_size", 256]))
        self._session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
        self._names = [output.name for output in self._session.get_outputs()]

    def __call__(self, pictures: np.ndarray) -> dict:
        """Logits by head [N, n], and "features" [N, 256]."""
        parts = []
        for start in range(0, len(pictures), 50):
            image = pictures[start : start + 50].transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
            parts.append(self._session.run(None, {"image": image}))
        found = {name: np.concatenate(column) for name, column in zip(self._names, zip(*parts))}
        return found | {"features": found.pop(self._pooled)}

    def features(self, pictures: np.ndarray) -> np.ndarray:
        return self(pictures)["features"]


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance between normal distributions with the means and covariances of features [N, F] and [M, F] (Heusel et al., 2017)."""
    mean_a, mean_b, cov_a, cov_b = a.mean(0), b.mean(0), np.cov(a.T.astype(np.float64)), np.cov(b.T.astype(np.float64))
    # tr (C_a C_b)^½: both are positive semi-definite, so the product's eigenvalues are real and not negative but for rounding.
    root = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).real.clip(0)).sum()
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * root)
