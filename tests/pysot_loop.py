"""SiamRPN's tracking loop written once more, straight from PySOT's equations, with numpy and OpenCV in float64.

It shares nothing with the package but the network, and serves as the oracle of tests and benchmarks.
"""

import cv2
import numpy as np
import torch


def make_anchors(score_size):
    """(4, 5 * S * S): centre and size of every anchor."""
    columns = []
    for ratio in (0.33, 0.5, 1, 2, 3):
        width = int(np.sqrt(64 / ratio))
        height = int(width * ratio)
        for row in range(score_size):
            for column in range(score_size):
                shift = -(score_size // 2) * 8
                columns.append([shift + 8 * column, shift + 8 * row, width * 8, height * 8])
    return np.array(columns, dtype=np.float64).T


def get_subwindow(frame, centre, model_size, original_size, mean_colour):
    """Square cut-out of a float BGR frame, padded with the mean colour and resized by OpenCV."""
    half = (original_size + 1) / 2
    x_min = int(np.floor(centre[0] - half + 0.5))
    y_min = int(np.floor(centre[1] - half + 0.5))
    height, width = frame.shape[:2]
    patch = np.empty((original_size, original_size, 3))
    patch[:] = mean_colour
    for row in range(original_size):
        for_row = y_min + row
        if 0 <= for_row < height:
            left, right = max(0, x_min), min(width, x_min + original_size)
            if right > left:
                patch[row, left - x_min : right - x_min] = frame[for_row, left:right]
    if original_size != model_size:
        patch = cv2.resize(patch, (model_size, model_size), interpolation=cv2.INTER_LINEAR)
    return patch.transpose(2, 0, 1)[None]


def track_like_pysot(
    network,
    frames_bgr,
    box_xywh,
    penalty_k=0.16,
    window_influence=0.4,
    learning_rate=0.3,
    exemplar=127,
    instance=287,
    base_size=0,
):
    """Boxes (F, 4) as x, y, w, h, for frames (F, H, W, 3) BGR in 0..255."""
    dtype = next(network.parameters()).dtype
    score_size = (instance - exemplar) // 8 + 1 + base_size
    anchors = make_anchors(score_size)
    hann = np.hanning(score_size)
    window = np.tile(np.outer(hann, hann).flatten(), 5)
    centre = np.array([box_xywh[0] + (box_xywh[2] - 1) / 2, box_xywh[1] + (box_xywh[3] - 1) / 2])
    size = np.array(box_xywh[2:], dtype=np.float64)
    mean_colour = frames_bgr[0].mean(axis=(0, 1))

    def context(width, height):
        pad = (width + height) * 0.5
        return np.sqrt((width + pad) * (height + pad))

    def change(ratio):
        return np.maximum(ratio, 1 / ratio)

    template = get_subwindow(frames_bgr[0], centre, exemplar, int(round(context(*size))), mean_colour)
    features = network.embed(torch.as_tensor(template, dtype=dtype))
    boxes = []
    for frame in frames_bgr:
        side = context(*size)
        scale = exemplar / side
        crop = get_subwindow(frame, centre, instance, int(round(side * instance / exemplar)), mean_colour)
        cls, loc = network.predict_head(features, network.embed(torch.as_tensor(crop, dtype=dtype)))
        score = cls.permute(1, 2, 3, 0).contiguous().view(2, -1).permute(1, 0).softmax(dim=1)[:, 1].double().numpy()
        delta = loc.permute(1, 2, 3, 0).contiguous().view(4, -1).double().numpy()
        found = np.stack(
            [
                delta[0] * anchors[2] + anchors[0],
                delta[1] * anchors[3] + anchors[1],
                np.exp(delta[2]) * anchors[2],
                np.exp(delta[3]) * anchors[3],
            ]
        )
        size_change = change(context(found[2], found[3]) / context(*(size * scale)))
        ratio_change = change((size[0] / size[1]) / (found[2] / found[3]))
        penalty = np.exp(-(ratio_change * size_change - 1) * penalty_k)
        best = np.argmax(penalty * score * (1 - window_influence) + window * window_influence)
        box = found[:, best] / scale
        rate = penalty[best] * score[best] * learning_rate
        height, width = frame.shape[:2]
        centre = np.clip(centre + box[:2], 0, [width, height])
        size = np.maximum(10, np.minimum(size * (1 - rate) + box[2:] * rate, [width, height]))
        boxes.append([centre[0] - size[0] / 2, centre[1] - size[1] / 2, size[0], size[1]])
    return np.array(boxes)
