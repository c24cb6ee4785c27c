"""Attacks on keypoints, on a keypoint head whose answers are known in closed form, and on the real network."""

import cv2
import numpy as np
import pytest
import torch
from doubles import TinySiamRPN, random_estimator, screen_scene

from armory_skelevision.attacks import KeypointFGSM, KeypointIGSM, KeypointUniversal, interface
from armory_skelevision.attacks.keypoints import pose as pose_module
from armory_skelevision.attacks.keypoints.pose import PoseEstimator, box_of_template, cut_template
from armory_skelevision.attacks.keypoints.poses import read_true_poses, target_keypoints
from armory_skelevision.models import SiamRPNEstimator
from armory_skelevision.networks import SiamRPN
from armory_skelevision.tracking import TrackerSettings
from armory_skelevision.validation import InvalidTypeError, InvalidValueError, MissingFileError

BOX = np.array([30.0, 20.0, 60.0, 80.0])


class Brightest(TinySiamRPN):
    """Every keypoint is seen where the template, blurred a little, is brightest in the keypoint's colour: so the
    pixels that a perturbation must brighten or darken are known."""

    def __init__(self):
        super().__init__()
        self.keypoint_head = torch.nn.Identity()

    def embed(self, crops):
        return crops if crops.shape[-1] == 127 else super().embed(crops)

    def forward_head(self, z_features, x_features):
        return super().forward_head(super().embed(z_features), x_features)

    def keypoints(self, z_features):
        blurred = torch.nn.functional.avg_pool2d(z_features / 255, 9, stride=1, padding=4)
        return 40 * blurred[:, [k % 3 for k in range(17)]]


@pytest.fixture(scope="module")
def tracker():
    return SiamRPNEstimator(Brightest(), TrackerSettings(instance_size=191), device_type="cpu")


def scene(seed=0):
    """Two frames of noise around mid grey, a bright spot in the upper half of the person, all keypoints on it."""
    rng = np.random.default_rng(seed)
    video = rng.uniform(0.45, 0.55, (2, 100, 120, 3)).astype(np.float32)
    video[:, 30:36, 40:46] += 0.02
    keypoints = np.repeat([[43.0, 33.0, 2.0]], 17, axis=0).astype(np.float32)
    return video, {"boxes": np.stack([BOX, BOX]), "keypoints": keypoints}


def look(tracker, video, label):
    return PoseEstimator(tracker, label["boxes"][:1]).predict(video[:1])[0]


def people(count):
    """Pictures (N, H, W, 3), boxes (N, 4) and keypoints (N, 17, 3) of several people in places of their own."""
    rng = np.random.default_rng(5)
    pictures = rng.random((count, 100, 120, 3)).astype(np.float32)
    boxes = BOX + rng.uniform(-8, 8, (count, 4))
    keypoints = np.concatenate([rng.uniform(25, 70, (count, 17, 2)), rng.integers(0, 3, (count, 17, 1))], axis=2)
    return pictures, boxes, keypoints.astype(np.float32)


def test_keypoints_are_those_that_the_tracker_predicts(tracker, monkeypatch) -> None:
    monkeypatch.setattr(pose_module, "CHUNK", 2)
    pictures, boxes, _ = people(5)
    found = PoseEstimator(tracker, boxes).predict(pictures)
    expected = [
        tracker.predict(picture[None, None], y_init=box[None])[0]["keypoints"]
        for picture, box in zip(pictures, boxes, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_loss_is_the_mean_surprise_at_the_labelled_keypoints_in_the_template(tracker, monkeypatch) -> None:
    monkeypatch.setattr(pose_module, "CHUNK", 2)
    pictures, boxes, keypoints = people(5)
    keypoints[:, 0] = [-30, 30, 2]  # outside
    found = PoseEstimator(tracker, boxes).compute_loss(pictures, keypoints)
    assert found.shape == (5,)
    for index, (picture, box, points) in enumerate(zip(pictures, boxes, keypoints, strict=True)):
        crop, placed = cut_template(tracker, picture, box, points)
        bgr = torch.from_numpy(crop[..., ::-1] * 255).permute(2, 0, 1)  # as the network takes its pictures
        maps = tracker.model.keypoints(bgr[None])[0].double()
        chances = maps.flatten(1).softmax(dim=1).reshape(maps.shape).numpy()
        surprise = [-np.log(chances[k, int(y), int(x)]) for k, (x, y, v) in enumerate(placed) if v > 0 and x >= 0]
        assert found[index] == pytest.approx(np.mean(surprise), rel=1e-4)


def test_a_head_by_regression_is_attacked_by_distance() -> None:
    torch.manual_seed(0)
    tracker = SiamRPNEstimator(SiamRPN("regression"), TrackerSettings(instance_size=191), device_type="cpu")
    pictures, boxes, keypoints = people(2)
    pose = PoseEstimator(tracker, boxes)
    found = pose.predict(pictures)
    sides = [np.sqrt((w + (w + h) / 2) * (h + (w + h) / 2)) for w, h in boxes[:, 2:] - boxes[:, :2]]
    for each, points, side, loss in zip(found, keypoints, sides, pose.compute_loss(pictures, keypoints), strict=True):
        squares = np.square((each[:, :2] - points[:, :2]) / round(side)).sum(axis=1)
        assert loss == pytest.approx(squares[points[:, 2] > 0].mean(), rel=0.05)
    attacked = KeypointIGSM(tracker, eps=4 / 255, max_iter=3, verbose=False).perturb(pose, pictures, keypoints)
    aimed = KeypointIGSM(tracker, eps=4 / 255, max_iter=3, target_pose="upside_down", verbose=False)
    nearer = aimed.perturb(pose, pictures, keypoints)
    losses = [pose.compute_loss(shown, keypoints) for shown in (nearer, pictures, attacked)]
    assert (losses[0] < losses[1]).all() and (losses[1] < losses[2]).all()


@pytest.mark.parametrize("axes", [(), (None,)], ids=["(N, 17, 3)", "(1, N, 17, 3)"])
def test_gradient_is_that_of_each_pictures_own_loss(tracker, monkeypatch, axes) -> None:
    monkeypatch.setattr(pose_module, "CHUNK", 2)
    pictures, boxes, keypoints = people(5)
    pose = PoseEstimator(tracker, boxes)
    with torch.no_grad():
        gradient = pose.loss_gradient(pictures, keypoints[axes])
    assert gradient.shape == pictures.shape
    direction = np.random.default_rng(0).choice([-1e-2, 1e-2], pictures.shape).astype(np.float32)
    ahead, behind = (pose.compute_loss(pictures + sign * direction, keypoints) for sign in (1, -1))
    slopes = (gradient * direction).reshape(5, -1).sum(axis=1)
    np.testing.assert_allclose(slopes, (ahead - behind) / 2, rtol=0.05, atol=1e-4)
    alone = PoseEstimator(tracker, boxes[3:4]).loss_gradient(pictures[3:4], keypoints[3:4])
    np.testing.assert_allclose(gradient[3], alone[0], rtol=1e-4, atol=1e-7)


def test_a_keypoint_counts_inside_the_template_only(tracker) -> None:
    box = box_of_template(tracker)  # pixels of the template are those of the picture
    pose = PoseEstimator(tracker, np.stack([box, box]))
    for x, y, visible, counts in [
        *((0, 0, 1, True), (126.9, 126.9, 2, True), (-0.1, 60, 2, False), (60, -0.1, 2, False)),
        *((127, 60, 2, False), (60, 127, 2, False), (60, 60, 0, False), (60, 60, -1, False)),
    ]:
        keypoints = np.zeros((2, 17, 3), np.float32)
        keypoints[:, 16] = [-50, 200, 2]  # one that is outside spoils nothing
        keypoints[0, 3] = [60, 60, 2]
        keypoints[1, 5] = [x, y, visible]
        if counts:
            pose.check_keypoints(keypoints)
            continue
        with pytest.raises(InvalidValueError) as refused:
            pose.check_keypoints(keypoints)
        assert refused.value.key == "keypoints of person 1"


@pytest.mark.parametrize(
    ("make", "steps", "size", "sign"),
    [
        (lambda t: KeypointIGSM(t, eps=0.1, max_iter=5, verbose=False), 5, 0.05, 1),
        (lambda t: KeypointIGSM(t, eps=0.1, max_iter=2, verbose=False), 2, 0.1, 1),
        (lambda t: KeypointIGSM(t, eps=0.1, max_iter=3, eps_step=0.03, verbose=False), 3, 0.03, 1),
        (lambda t: KeypointIGSM(t, eps=0.1, max_iter=5, target_pose="upside_down", verbose=False), 5, 0.05, -1),
        (lambda t: KeypointIGSM(t, verbose=False), 10, 2 / 255, 1),
        (lambda t: KeypointFGSM(t), 1, 8 / 255, 1),
        (lambda t: KeypointFGSM(t, 0.6), 1, 0.6, 1),
        (lambda t: KeypointFGSM(t, 0.1, "upside_down"), 1, 0.1, -1),
    ],
)
def test_steps_go_along_the_sign_of_the_gradient(tracker, make, steps, size, sign) -> None:
    video, label = scene()
    attack = make(tracker)
    keypoints = label["keypoints"]
    if sign < 0:
        keypoints = target_keypoints("upside_down", keypoints, BOX)
    pose = PoseEstimator(tracker, BOX[None])
    expected = video[:1]
    for _ in range(steps):
        expected = expected + sign * size * np.sign(pose.loss_gradient(expected, keypoints[None]))
        expected = expected.clip(video[:1] - attack.eps, video[:1] + attack.eps).clip(0, 1).astype(np.float32)
    attacked = attack.generate(x=video[None], y=[label])[0]
    assert isinstance(attack, KeypointFGSM) <= (attack.eps == size)
    assert (np.abs(attacked[:1] - expected) > 1e-5).mean() < 1e-3  # where a gradient is nearly 0 its sign may differ


def test_universal_steps_go_along_the_sum_of_all_gradients(tracker) -> None:
    cut = [cut_template(tracker, video[0], BOX, label["keypoints"]) for video, label in map(scene, range(3))]
    crops, keypoints = (np.stack(values) for values in zip(*cut, strict=True))
    crops[:, :40] = 1.0
    pose = PoseEstimator(tracker, np.stack([box_of_template(tracker)] * 3))
    expected = np.zeros((127, 127, 3))
    for _ in range(4):
        shown = (crops + expected).astype(np.float32)
        gradient = pose.loss_gradient(shown.clip(0, 1), keypoints) * (shown <= 1)
        expected = (expected + 0.0625 * np.sign(gradient.sum(axis=0))).clip(-0.1, 0.1)
    learnt = KeypointUniversal(tracker, eps=0.1, max_iter=4, verbose=False).learn(crops, keypoints)
    assert learnt.dtype == np.float32
    assert (np.abs(learnt - expected) > 1e-5).mean() < 1e-3
    default = KeypointUniversal(tracker)
    assert (default.eps, default.max_iter, default.eps_step, default.target_pose) == (8 / 255, 20, None, None)
    assert KeypointIGSM(tracker).max_iter == 10


def test_a_perturbation_is_resized_to_the_window_and_cut_at_the_border(tracker, tmp_path) -> None:
    rng = np.random.default_rng(0)
    perturbation = rng.uniform(-0.4, 0.4, (127, 127, 3))
    np.save(tmp_path / "a.npy", perturbation)
    video, label = scene()
    video[:, :, ::2] = 0.9
    video[:, ::3] = 0.1
    (shown,) = KeypointUniversal(tracker, eps=0.4, perturbation=tmp_path / "a.npy").generate([video], [label])
    # the window around the box: 89 wide (sqrt(75 * 105)), its middle pixel (44, 49)
    change = cv2.resize(perturbation, (89, 89), interpolation=cv2.INTER_LINEAR)
    expected = video.copy()
    expected[0, 5:94, 0:89] = (video[0, 5:94, 0:89] + change).clip(0, 1)
    np.testing.assert_allclose(shown, expected, atol=1e-5)
    left = label | {"boxes": label["boxes"] - np.array([20, 0, 20, 0], np.float32)}
    (cut,) = KeypointUniversal(tracker, eps=0.4, perturbation=tmp_path / "a.npy").generate([video], [left])
    expected = video.copy()
    expected[0, 5:94, :69] = (video[0, 5:94, :69] + change[:, 20:]).clip(0, 1)
    np.testing.assert_allclose(cut, expected, atol=1e-5)


@pytest.mark.parametrize("value", [0.0500001, -0.0500001, 0.0501, -0.0501, np.nan, -np.inf])
def test_a_perturbation_may_pass_its_bound_by_rounding_only(tracker, tmp_path, value) -> None:
    array = np.zeros((127, 127, 3))
    array[3, 4, 1] = value
    np.save(tmp_path / "a.npy", array)
    if abs(value) < 0.05001:
        loaded = KeypointUniversal(tracker, eps=0.05, perturbation=tmp_path / "a.npy")._loaded
        assert loaded.dtype == np.float32 and loaded[3, 4, 1] == np.float32(value)
        return
    with pytest.raises(InvalidValueError) as refused:
        KeypointUniversal(tracker, eps=0.05, perturbation=tmp_path / "a.npy")
    assert (refused.value.key, refused.value.expected) == ("perturbation", "finite values within the bound eps = 0.05")
    assert refused.value.got.startswith(f"{abs(value):.4g} in ")


@pytest.mark.parametrize("array", [np.zeros((127, 127, 3), int), np.zeros((127, 127)), np.zeros((3, 127, 127))])
def test_a_perturbation_of_another_kind_is_refused(tracker, tmp_path, array) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InvalidValueError) as refused:
        KeypointUniversal(tracker, perturbation=tmp_path / "a.npy")
    assert (refused.value.key, refused.value.expected) == ("perturbation", "floats (127, 127, 3)")
    assert refused.value.got.startswith(f"{array.dtype} {array.shape} in ")


@pytest.mark.parametrize("kind", [KeypointFGSM, KeypointIGSM])
def test_all_pictures_are_perturbed_at_once(tracker, kind) -> None:
    pictures, boxes, keypoints = people(34)  # more than ART's batches have
    attack = kind(tracker) if kind is KeypointFGSM else kind(tracker, max_iter=1, verbose=False)
    together = attack.perturb(PoseEstimator(tracker, boxes), pictures, keypoints)
    alone = attack.perturb(PoseEstimator(tracker, boxes[33:]), pictures[33:], keypoints[33:])
    assert (np.abs(together[33:] - alone) > 1e-5).mean() < 1e-3


@pytest.mark.parametrize(
    ("kind", "settings", "steps"),
    [(KeypointFGSM, {}, 1), (KeypointIGSM, {"max_iter": 2}, 2), (KeypointUniversal, {"max_iter": 3}, 3)],
)
def test_progress_is_that_of_the_attack_alone(tracker, kind, settings, steps, monkeypatch, capsys) -> None:
    shown, progress = [], interface.progress

    def recording(*args, **options):
        shown.append((*args, options["disable"]))
        return progress(*args, disable=True)

    monkeypatch.setattr(interface, "progress", recording)
    for verbose in (True,) if kind is KeypointFGSM else (True, False):
        silent = {} if verbose else {"verbose": False}
        videos, labels = zip(*(scene(seed) for seed in range(2)), strict=True)
        kind(tracker, **settings, **silent).generate(x=list(videos), y=list(labels))
        assert set(shown) == {(range(steps), kind.__name__, not verbose)}
        shown.clear()
    assert capsys.readouterr() == ("", "")


def test_universal_is_learnt_from_two_pictures_and_metadata(tracker, tmp_path, monkeypatch) -> None:
    people_seen = [scene(seed) for seed in range(2)]
    x = np.stack([video[:1] for video, _ in people_seen]).astype(np.float64)
    y = [{"boxes": label["boxes"][:1]} for _, label in people_seen]
    metadata = [{"keypoints": label["keypoints"][None]} for _, label in people_seen]
    attack = KeypointUniversal(tracker, max_iter=1, verbose=False, export=tmp_path / "a.npy")
    attacked = attack.generate(x, y, metadata)
    assert attacked.dtype == np.float64 and attacked.shape == x.shape and (attacked != x).any()
    attack.set_params(export=None)
    with pytest.raises(InvalidTypeError) as unknown:
        attack.generate(x, y, metadata, mask=1)
    assert unknown.value.key == "mask" and unknown.value.fix == "known are x, y, y_patch_metadata"

    def meanwhile(self, *_):
        (tmp_path / "b.npy").write_text("another's")
        return np.zeros((127, 127, 3), np.float32)

    monkeypatch.setattr(KeypointUniversal, "learn", meanwhile)
    with pytest.raises(FileExistsError):
        KeypointUniversal(tracker, export=tmp_path / "b.npy").generate(x, y, metadata)
    assert (tmp_path / "b.npy").read_text() == "another's"


def test_labels_come_before_metadata_and_frame_0_before_the_others() -> None:
    video, label = scene()
    other = np.stack([label["keypoints"] + 1, label["keypoints"] + 2]).astype(np.float64)
    boxes = np.stack([BOX, BOX + 1]).astype(np.float32)
    of_label, of_metadata = read_true_poses(
        [video] * 2, [label, {"boxes": boxes}], [{"keypoints": other}, {"keypoints": other}]
    )
    np.testing.assert_array_equal(of_label.keypoints, label["keypoints"])
    np.testing.assert_array_equal(of_metadata.keypoints, label["keypoints"] + 1)
    np.testing.assert_array_equal(of_metadata.box_xyxy, BOX)
    assert of_metadata.box_xyxy.dtype == np.float64 and of_metadata.keypoints.dtype == np.float32
    for metadata in (None, [{}, {}]):
        with pytest.raises(InvalidValueError) as refused:
            read_true_poses([video] * 2, [label, {"boxes": boxes}], metadata)
        assert refused.value.key == "y[1].keypoints" and refused.value.got == "none"


def test_targeted_attack_reaches_its_target(tracker) -> None:
    video, label = scene()
    place = [[0.7, 0.8]] * 17
    wanted = target_keypoints(place, label["keypoints"], BOX)[:, :2]
    attack = KeypointIGSM(tracker, eps=16 / 255, max_iter=20, target_pose=place, verbose=False)
    attacked = attack.generate(x=video[None], y=[label])[0]
    before, after = look(tracker, video, label), look(tracker, attacked, label)
    assert np.linalg.norm(before[:, :2] - wanted, axis=1).min() > 20
    assert np.linalg.norm(after[:, :2] - wanted, axis=1).max() < 3
    np.testing.assert_array_equal(attacked[1], video[1])  # only the template's frame is changed


@pytest.mark.parametrize(
    "make",
    [
        lambda t: KeypointIGSM(t, eps=0.5 / 255, max_iter=3, verbose=False),
        lambda t: KeypointIGSM(t, eps=4 / 255, max_iter=4, eps_step=3 / 255, target_pose="upside_down", verbose=False),
        lambda t: KeypointFGSM(t, eps=8 / 255),
        lambda t: KeypointFGSM(t, eps=2 / 255, target_pose="upside_down"),
    ],
)
def test_bound_is_kept_used_and_the_same_each_time(tracker, make) -> None:
    video, label = scene()
    attack = make(tracker)
    first, again = (attack.generate(x=video[None], y=[label]) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    change = np.abs(first[0, 0] - video[0])
    assert change.max() <= attack.eps * (1 + 1e-4)
    assert change.max() > 0.9 * attack.eps
    assert first.dtype == video.dtype and first.min() >= 0 and first.max() <= 1


def test_untargeted_attack_raises_the_loss_and_more_steps_raise_it_more() -> None:
    tracker = random_estimator(keypoint_head="shallow")
    x, y, _ = screen_scene(frames=2)
    keypoints = np.stack([np.linspace(62, 78, 17), np.linspace(42, 80, 17), np.full(17, 2)], axis=1).astype(np.float32)
    label = {"boxes": y[0]["boxes"], "keypoints": keypoints}
    pose = PoseEstimator(tracker, label["boxes"][:1])
    shown = [
        attack.generate(x=x, y=[label])[0, :1]
        for attack in (KeypointFGSM(tracker, 8 / 255), KeypointIGSM(tracker, 8 / 255, 8, verbose=False))
    ]
    clean, single, many = (float(pose.compute_loss(p, keypoints[None])[0]) for p in (x[0, :1], *shown))
    assert clean < single < many


def test_universal_beats_noise_of_the_same_size_on_unseen_people(tracker) -> None:
    cut = [cut_template(tracker, video[0], BOX, label["keypoints"]) for video, label in map(scene, range(8))]
    crops, keypoints = (np.stack(values) for values in zip(*cut, strict=True))
    shown = KeypointUniversal(tracker, eps=8 / 255, max_iter=10, verbose=False).learn(crops[:6], keypoints[:6])
    assert shown.shape == (127, 127, 3) and np.abs(shown).max() * 255 == pytest.approx(8, rel=1e-4)
    noise = np.random.default_rng(0).choice([-1, 1], shown.shape) * 8 / 255
    pose = PoseEstimator(tracker, np.repeat(box_of_template(tracker)[None], 2, axis=0))
    clean, learnt, random = (
        pose.compute_loss((crops[6:] + change).clip(0, 1).astype(np.float32), keypoints[6:]).mean()
        for change in (0, shown, noise)
    )
    assert learnt - clean > 5 * abs(random - clean)
    assert learnt > clean + 0.3


def test_universal_is_kept_in_a_file_and_laid_where_the_template_is_cut(tracker, tmp_path) -> None:
    people = [scene(seed) for seed in range(3)]
    file = tmp_path / "universal.npy"
    videos, labels = [video for video, _ in people], [label for _, label in people]
    KeypointUniversal(tracker, max_iter=3, export=file, verbose=False).generate(x=videos, y=labels)
    learnt = file.read_bytes()
    with pytest.raises(InvalidValueError) as taken:
        KeypointUniversal(tracker, max_iter=1, export=file, verbose=False).generate(x=videos, y=labels)
    assert taken.value.key == "export" and file.read_bytes() == learnt
    attack = KeypointUniversal(tracker, perturbation=file, export=file)  # learns nothing, and writes nothing
    (shown,) = attack.generate(x=videos[0][None], y=labels[:1])
    change = np.abs(shown[0] - videos[0][0]).max(axis=2)
    rows, columns = np.nonzero(change)
    assert change.max() * 255 <= 8 * (1 + 1e-4)
    # the window around the box: 89 wide (sqrt(75 * 105)), its middle pixel (44, 49)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (0, 88, 5, 93)
    with pytest.raises(InvalidValueError) as too_large:
        KeypointUniversal(tracker, eps=4 / 255, perturbation=file)
    assert too_large.value.key == "perturbation" and f"eps = {4 / 255:.4g}" in too_large.value.expected
    with pytest.raises(InvalidValueError) as single:
        KeypointUniversal(tracker).generate(x=videos[0][None], y=labels[:1])
    assert single.value.key == "perturbation" and "'export'" in single.value.fix
    np.save(file, np.zeros((3, 3, 3), np.float32))
    with pytest.raises(InvalidValueError) as misshapen:
        KeypointUniversal(tracker, perturbation=file)
    assert misshapen.value.key == "perturbation" and "(3, 3, 3)" in misshapen.value.got
    with pytest.raises(MissingFileError) as missing:
        KeypointUniversal(tracker, perturbation=tmp_path / "nothing.npy")
    assert missing.value.key == "perturbation"


def test_crop_of_a_template_is_seen_as_the_template_is() -> None:
    tracker = random_estimator(keypoint_head="shallow")
    video, label = scene()
    crop, keypoints = cut_template(tracker, video[0], BOX, label["keypoints"])
    whole = PoseEstimator(tracker, label["boxes"][:1]).compute_loss(video[:1], label["keypoints"][None])
    of_crop = PoseEstimator(tracker, box_of_template(tracker)[None]).compute_loss(crop[None], keypoints[None])
    np.testing.assert_allclose(whole, of_crop, rtol=1e-4)


def test_a_single_picture_has_keypoints_and_can_be_attacked(tracker) -> None:
    video, label = scene()
    label = label | {"boxes": label["boxes"][:1]}
    attacked = KeypointFGSM(tracker).generate(x=video[None, :1], y=[label])
    assert attacked.shape == (1, 1, 100, 120, 3)
    (prediction,) = random_estimator(keypoint_head="shallow").predict(attacked, y_init=label["boxes"])
    assert prediction["keypoints"].shape == (17, 3)
    with pytest.raises(ValueError, match="at least 2 frames"):
        random_estimator().predict(attacked, y_init=label["boxes"])


def test_upside_down_turns_around_the_middle_of_the_box() -> None:
    keypoints = np.array([[31.0, 22.0, 2.0]] + [[45.0, 50.0, 0.0]] * 16)
    assert target_keypoints("upside_down", keypoints, BOX).dtype == np.float32
    np.testing.assert_allclose(target_keypoints("upside_down", keypoints, BOX)[0], [59, 78, 2])
    np.testing.assert_allclose(target_keypoints([[0.5, 0.25]] * 17, keypoints, BOX), [[45, 35, 2]] * 17)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("eps", 0), ("eps", 8), ("eps", float("nan")), ("max_iter", 0), ("eps_step", -1), ("eps_step", 2)),
        *(("target_pose", "sideways"), ("target_pose", [[0, 1]]), ("target_pose", [[0, 1, 2]] * 17)),
        *(("verbose", 1),),
    ],
)
def test_settings_out_of_range_are_refused(tracker, key, value) -> None:
    with pytest.raises(InvalidValueError) as refused:
        KeypointIGSM(tracker, **{key: value})
    assert refused.value.key == key


def test_what_does_not_fit_is_refused(tracker) -> None:
    video, label = scene()
    for kind in (KeypointIGSM, KeypointFGSM, KeypointUniversal):
        with pytest.raises(InvalidValueError) as refused:
            kind(random_estimator())
        assert refused.value.key == "estimator" and "siamrpn_mtl" in refused.value.fix
    for keypoints in (None, label["keypoints"][:3], label["keypoints"] * np.nan, "none"):
        with pytest.raises((InvalidValueError, InvalidTypeError)) as refused:
            KeypointIGSM(tracker).generate(x=video[None], y=[label | {"keypoints": keypoints}])
        assert refused.value.key == "y[0].keypoints" and "(17, 3) of frame 0" in refused.value.expected
    with pytest.raises(InvalidTypeError) as unknown:
        KeypointIGSM(tracker).generate(x=video[None], y=[label], mask=1)
    assert unknown.value.key == "mask"
    metadata = [{"keypoints": np.stack([label["keypoints"]] * 2)}]
    KeypointFGSM(tracker).generate(x=video[None], y=[{"boxes": label["boxes"]}], y_patch_metadata=metadata)
