"""Resizing: the values of OpenCV and of torch."""

import numpy as np

from pdr_datasets.resize import resize_bicubic, resize_bilinear


def test_bilinear_resizing_is_that_of_opencv():
    """Results of cv2.resize (OpenCV 5.0, INTER_LINEAR, float32), then two identities."""
    row = np.array([[0, 10, 40, 90, 160]], np.float32)
    np.testing.assert_array_equal(resize_bilinear(row, 1, 2), [[7.5, 107.5]])
    image = np.array([[0, 10, 40], [90, 160, 250]], np.float32)
    np.testing.assert_allclose(
        resize_bilinear(image, 3, 4),
        [[0, 6.25, 21.25, 40], [45, 70, 107.5, 145], [90, 133.75, 193.75, 250]],
        rtol=1e-6,
    )
    frames = np.random.default_rng(0).uniform(0, 255, (2, 12, 16))
    np.testing.assert_allclose(resize_bilinear(frames, 12, 16), frames, atol=1e-4)
    transposed = resize_bilinear(frames.swapaxes(1, 2), 7, 9).swapaxes(1, 2)
    np.testing.assert_allclose(resize_bilinear(frames, 9, 7), transposed, atol=1e-3)


def test_resizing_by_a_factor_is_that_of_torch_and_bicubic_that_of_opencv():
    """Values of torch.nn.functional.interpolate (2.13) with scale_factor=1/0.94, and bicubic."""
    row = np.array([[0, 10, 40, 90, 160, 250, 20, 70, 130, 200, 30, 60, 5, 15, 25, 35]], "f4")
    enlarged = "0 9.1 35.5 79.5 141.1 220.3 109.7 47.5 99.4 160.1 137.1 39.3 46.25 6.9 16.3 25.7 35"
    np.testing.assert_allclose(
        resize_bilinear(row, 1, 17, step=0.94), [[float(v) for v in enlarged.split()]], atol=1e-4
    )
    shrunk = [[5.960648, 121.25, 6.168927, 205.752319, 34.375, 27.303240]]
    np.testing.assert_allclose(resize_bicubic(row, 1, 6), shrunk, rtol=1e-5)
