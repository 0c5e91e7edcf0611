"""Features as the few directions in which the pictures differ most."""

import numpy as np

from saccade.runtime.machine import one_blas_thread
from saccade.runtime.seeds import generator

NUM_AXES = 128
MORE_AXES = 16  # followed beside those wanted, so that the last of these are found well
ROUNDS = 2  # more sharpen what lies far down the spectrum, where a probe has little use for it


def principal(features_ND: np.ndarray, *, seed: int, num: int = NUM_AXES) -> np.ndarray:
    """Return the pictures' coordinates on the principal axes of their features, float64 (N, R).

    With R = `num`, or fewer where there are fewer pictures or features. On the first 128 axes of
    mobilenetv2_100's 1,280 features a probe finds wrong labels as well as on all of them, or
    better, in a fiftieth of the time (docs/suspects.md).

    Args:
        features_ND: float (N, D).
        seed: where the search for the axes begins; the answer hardly depends on it.
        num: R.

    Source: the randomised range finder, N. Halko, P. G. Martinsson, J. A. Tropp (2011), SIAM
    Review 53: 217-288, algorithm 4.4.
    """
    with one_blas_thread():  # a second core that is busy costs more (log.md)
        centred_ND = features_ND.astype(np.float32) - features_ND.mean(axis=0, dtype=np.float64)
        centred_ND = centred_ND.astype(np.float32)
        width = min(num + MORE_AXES, *centred_ND.shape)
        start = generator(seed, "principal").standard_normal((centred_ND.shape[1], width))
        found_NR = centred_ND @ start.astype(np.float32)
        for _ in range(ROUNDS):
            basis_DR = np.linalg.qr(centred_ND.T @ np.linalg.qr(found_NR)[0])[0]
            found_NR = centred_ND @ basis_DR
        left_NR, lengths_R, _ = np.linalg.svd(found_NR.astype(np.float64), full_matrices=False)
    coordinates_NR: np.ndarray = left_NR * lengths_R
    return coordinates_NR[:, :num]
