"""SiamFC++'s tracking loop written once more, straight from video_analyst's equations, with NumPy in float64.

It shares nothing with the package but the network.
"""

import cv2
import numpy as np
import torch


def get_subwindow(frame, centre, model_size, original_size, mean_colour):
    """A square of ``original_size`` pixels, sampled ``model_size`` times a side, as by OpenCV's affine warp in float.

    The centre counts from the middle of the first pixel. Outside of the frame is the mean colour.
    """
    around = cv2.copyMakeBorder(frame, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=tuple(mean_colour))
    step, reach = (original_size - 1) / (model_size - 1), (original_size - 1) / 2
    crop = around
    for axis, middle in enumerate(centre[::-1]):
        # Farther outside, all is the colour of the border that was added.
        place = np.clip(middle - reach + step * np.arange(model_size), -1, frame.shape[axis]) + 1
        before = np.minimum(np.floor(place).astype(int), around.shape[axis] - 2)
        share = np.expand_dims(place - before, (1, 2) if axis == 0 else (0, 2))
        crop = crop.take(before, axis) * (1 - share) + crop.take(before + 1, axis) * share
    return crop.transpose(2, 0, 1)[None]


def context(width, height):
    pad = (width + height) * 0.5
    return np.sqrt((width + pad) * (height + pad))


def change(ratio):
    return np.maximum(ratio, 1 / ratio)


def make_points(score_size, search_size):
    """(2, S * S): the points of the response map in pixels of the search crop, counted from its first pixel."""
    offset = (search_size - 1 - (score_size - 1) * 8) // 2
    rows, columns = np.divmod(np.arange(score_size**2), score_size)
    return np.stack([offset + 8.0 * columns, offset + 8.0 * rows])


def track_like_video_analyst(
    network, frames_bgr, box_xywh, penalty_k=0.08, window_influence=0.21, learning_rate=0.58, search_size=303
):
    """Boxes (F, 4) as x, y, w, h, for frames (F, H, W, 3) BGR in 0..255, frame 0 tracked as well."""
    dtype = next(network.parameters()).dtype
    score_size = (search_size - 127) // 8 + 1 - 6
    points = make_points(score_size, search_size)
    window = np.outer(np.hanning(score_size), np.hanning(score_size)).flatten()
    centre = np.array([box_xywh[0] + (box_xywh[2] - 1) / 2, box_xywh[1] + (box_xywh[3] - 1) / 2])
    size = np.array(box_xywh[2:], dtype=np.float64)
    mean_colour = frames_bgr[0].mean(axis=(0, 1))
    template = get_subwindow(frames_bgr[0], centre, 127, round(float(context(*size))), mean_colour)
    features = network.embed(torch.as_tensor(template, dtype=dtype))
    boxes = []
    for frame in frames_bgr:
        scale = 127 / context(*size)
        crop = get_subwindow(frame, centre, search_size, round(float(search_size / scale)), mean_colour)
        cls, loc = network.predict_head(features, network.embed(torch.as_tensor(crop, dtype=dtype)))
        probabilities = 1 / (1 + np.exp(-cls[0].flatten(1).double().numpy()))
        score = probabilities[0] * probabilities[1]
        left, top, right, bottom = np.exp(loc[0].flatten(1).double().numpy())
        corners = points[0] - left, points[1] - top, points[0] + right, points[1] + bottom
        found = np.stack(
            [
                (corners[0] + corners[2]) / 2,
                (corners[1] + corners[3]) / 2,
                corners[2] - corners[0] + 1,
                corners[3] - corners[1] + 1,
            ]
        )
        size_change = change(context(found[2], found[3]) / context(*(size * scale)))
        ratio_change = change((size[0] / size[1]) / (found[2] / found[3]))
        penalty = np.exp(-(ratio_change * size_change - 1) * penalty_k)
        best = np.argmax(penalty * score * (1 - window_influence) + window * window_influence)
        rate = penalty[best] * score[best] * learning_rate
        centre = centre + (found[:2, best] - search_size // 2) / scale
        size = size * (1 - rate) + found[2:, best] / scale * rate
        limit = np.array(frame.shape[1::-1])
        centre, size = np.clip(centre, 0, limit), np.clip(size, 10, limit)
        boxes.append([*(centre - (size - 1) / 2), *size])
    return np.array(boxes)
