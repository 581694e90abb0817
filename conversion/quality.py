"""How near a made image is to the true one: six measures, one number an image.

    MSE = mean (a - b)²,  RMSE = √MSE,  MAE = mean |a - b|,  PSNR = -10 log10 MSE   (range 1)
    SSIM = mean of (2 μa μb + c1)(2 σab + c2) / ((μa² + μb² + c1)(σa² + σb² + c2))
    NCC  = mean over channels of the correlation of a and b over pixels

In SSIM means, variances and the covariance are of a Gaussian window, 11×11 with σ = 1.5, about
each pixel; c1 = 0.01², c2 = 0.03² (Z. Wang et al., "Image quality assessment", IEEE Transactions
on Image Processing 13(4), 2004). As in the public code of evTransFER the window sees the image
mirrored at its border and the mean runs over all pixels; many tools leave out a border of 5.

>>> image_quality(torch.zeros(1, 3, 64, 64), torch.full((1, 3, 64, 64), 0.1))["psnr"]
tensor([20.0000], dtype=torch.float64)
"""

from __future__ import annotations

import torch

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2
MEASURES = ("mse", "rmse", "mae", "psnr", "ssim", "ncc")
SMALLEST_NORM = 1e-12


def image_quality(made: torch.Tensor, true: torch.Tensor) -> dict[str, torch.Tensor]:
    """All measures of a batch.

    Parameters
    ----------
    made, true : Tensor of floats, shape (N, C, H, W)
        In [0, 1]; values outside are clipped.

    Returns
    -------
    dict of str to Tensor of float64, shape (N,)
        By ``MEASURES``; the PSNR of equal images is infinite.

    Raises
    ------
    ValueError
        For shapes that differ, or images that a window does not fit into.
    """
    if made.shape != true.shape or made.ndim != 4 or min(made.shape[2:]) < WINDOW:
        raise ValueError(
            f"images of shape {tuple(made.shape)} and {tuple(true.shape)}; both must be one shape "
            f"(N, C, H, W) of at least {WINDOW}×{WINDOW} pixels"
        )
    a, b = made.double().clamp(0, 1), true.double().clamp(0, 1)
    mse = (a - b).square().flatten(1).mean(1)
    return {
        "mse": mse,
        "rmse": mse.sqrt(),
        "mae": (a - b).abs().flatten(1).mean(1),
        "psnr": -10 * mse.log10(),
        "ssim": ssim_map(a, b).flatten(1).mean(1),
        "ncc": correlation(a, b),
    }


def ssim_map(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Structural similarity about each pixel, the shape of `a` and `b`: (N, C, H, W), float64."""
    rows, columns = (_window_means(n, a) for n in a.shape[2:])

    def mean(x: torch.Tensor) -> torch.Tensor:
        return rows @ x @ columns.T

    mean_a, mean_b = mean(a), mean(b)
    covariance = mean(a * b) - mean_a * mean_b
    variances = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    likeness = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    return likeness / ((mean_a**2 + mean_b**2 + C1) * (variances + C2))


def correlation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean over channels of the correlation over pixels, ``[N]``; 0 for a channel without any."""
    a, b = a.flatten(2), b.flatten(2)
    a, b = a - a.mean(2, keepdim=True), b - b.mean(2, keepdim=True)
    norms = a.norm(dim=2) * b.norm(dim=2)
    return ((a * b).sum(2) / (norms + SMALLEST_NORM)).mean(1)


def _window_means(n: int, like: torch.Tensor) -> torch.Tensor:
    """The matrix ``[n, n]`` that takes a line of pixels to its Gaussian means, mirrored at ends."""
    offsets = torch.arange(WINDOW, device=like.device) - WINDOW // 2
    weights = torch.exp(-(offsets.to(like.dtype) ** 2) / (2 * SIGMA**2))
    weights = weights / weights.sum()
    pixels = (torch.arange(n, device=like.device)[:, None] + offsets).abs()
    pixels = torch.where(pixels < n, pixels, 2 * (n - 1) - pixels)
    return torch.zeros(n, n, dtype=like.dtype, device=like.device).scatter_add_(
        1, pixels, weights.expand(n, WINDOW).contiguous()
    )
