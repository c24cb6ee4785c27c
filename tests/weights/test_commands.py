import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from file_server import PAGE, FileServer, serve
from safetensors.torch import load_file

from armory_skelevision.io import hash_file
from armory_skelevision.networks import NanoTrack, SiamRPN
from armory_skelevision.networks.unet import UNETS
from armory_skelevision.validation import InvalidValueError, StructuredError
from armory_skelevision.weights import published
from armory_skelevision.weights.checkpoints import write_checkpoint
from armory_skelevision.weights.convert import convert
from armory_skelevision.weights.loading import load_siamrpn, load_weights, read_metadata, save_weights
from armory_skelevision.weights.metadata import Metadata
from armory_skelevision.weights.packaged import PACKAGED_WEIGHTS
from armory_skelevision.weights.third_party import legacy_name

Run = Callable[..., tuple[int, str, str]]
NAME = "siamrpn_alex_dwxcorr"
STL = PACKAGED_WEIGHTS / "siamrpn_alex_stl.safetensors"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as PySOT's older code wrote them, without the counters of BatchNorm."""
    torch.manual_seed(5)
    state = SiamRPN().state_dict()
    old = {legacy_name(name): tensor for name, tensor in state.items()}
    path = tmp_path_factory.mktemp("pysot") / "model.pth"
    kept = {name: tensor for name, tensor in old.items() if not name.endswith("num_batches_tracked")}
    torch.save(kept, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture
def files(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server in the place of the published address."""
    with serve() as server:
        server.content = checkpoint.read_bytes()
        moved = dataclasses.replace(published.WEIGHTS[NAME], url=server.url)
        monkeypatch.setitem(published.WEIGHTS, NAME, moved)
        yield server


def test_list_describes_all_weights(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("weights", "list", "--verbose", "--into", tmp_path)
    assert code == 0
    unet, mtl, stl, dwxcorr, *_ = out.strip().split("\n\n")
    assert "U-Net, small, of DuaLossDef" in unet
    assert re.search(
        r"\n  training  .*, seed \d+; .*\n  tracker   siamrpn_.*, sha256 [0-9a-f]{64}\n  licence   MIT\n", unet
    )
    assert "siamrpn_alex, keypoint head shallow, lambda_k 0.2" in mtl
    assert re.search(
        r"training  .* steps of .* seed \d+\n  licence   MIT .*; real people: Open Images .*; see NOTICE\n", mtl
    )
    assert f"sha256    {hash_file(STL)}\n  where     {STL} (12.6 MB)" in stl
    assert "\n  training  PySOT's model zoo" in dwxcorr
    assert "licence   CC BY-SA 3.0\n  sha256    none published\n" in dwxcorr
    assert f"not here yet: skelevision weights fetch {NAME}, or by hand from https://drive.google.com/open" in dwxcorr


def test_list_is_short(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("weights", "list", "--into", tmp_path)
    assert code == 0
    head, *lines = out.splitlines()
    assert head.split() == ["file", "network", "licence", "where"]
    assert [line.split()[0] for line in lines] == [
        *(path.name for path in sorted(PACKAGED_WEIGHTS.glob("*.safetensors"))),
        *(f"{name}.pth" for name in published.WEIGHTS),
    ]
    assert [line.split("  ")[-1].strip() for line in lines[2:4]] == ["packaged", f"skelevision weights fetch {NAME}"]
    assert "  MIT; …  " in lines[1] and max(map(len, lines)) < 160


def test_list_writes_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.touch()  # no folder can be made in it, whoever runs this
    monkeypatch.setenv("HOME", str(home))
    assert run("weights", "list")[0] == 0
    assert run("weights", "verify", STL)[0] == 0
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run("weights", "list")[0] == 0
    assert list(tmp_path.iterdir()) == [home]


def test_fetch_then_list(run: Run, files: FileServer, tmp_path: Path) -> None:
    target = tmp_path / "new" / "saved_models" / f"{NAME}.pth"
    assert run("weights", "fetch", NAME, "--into", target.parent) == (0, f"{target}\n", "")
    assert load_weights(SiamRPN(), target) is None
    assert run("weights", "fetch", NAME, "--into", target.parent) == (0, f"{target}\n", "")
    assert len(files.asked) == 1
    assert (
        f"sha256    {hash_file(target)}\n  where     {target} (25."
        in run("weights", "list", "--verbose", "--into", target.parent)[1]
    )
    assert f"  {target} (25." in run("weights", "list", "--into", target.parent)[1]
    target.write_bytes(target.read_bytes() + b"x")
    assert f"{hash_file(target)} (CHANGED)\n" in run("weights", "list", "--verbose", "--into", target.parent)[1]


def test_list_tells_who_put_a_file_there(run: Run, tmp_path: Path, checkpoint: Path) -> None:
    (tmp_path / f"{NAME}.pth").write_bytes(checkpoint.read_bytes())
    _, out, _ = run("weights", "list", "--verbose", "--into", tmp_path)
    assert f"sha256    {hash_file(checkpoint)} (not fetched by this command)\n" in out


def test_fetch_goes_to_the_folder_of_armory(run: Run, files: FileServer, checkpoint: Path) -> None:
    code, out, err = run("weights", "fetch", NAME, "--from", checkpoint)
    assert (code, err) == (0, "")
    assert Path(out.strip()) == Path.home() / ".armory" / "saved_models" / f"{NAME}.pth"
    assert Path(out.strip()).read_bytes() == checkpoint.read_bytes()
    assert files.asked == []


def test_fetch_refuses_what_is_no_weights(run: Run, files: FileServer, tmp_path: Path) -> None:
    for content in (PAGE, files.content[:-100_000], b"garbage" * 100):
        files.content = content
        code, out, err = run("weights", "fetch", NAME, "--into", tmp_path)
        assert (code, out) == (1, "")
        assert re.fullmatch(rf"error: .*by hand: get {NAME}\.pth from https://drive\.google\.com/open\?id=.*\n", err)
        assert not list(tmp_path.glob("*.pth"))


def test_fetch_keeps_a_file_that_is_not_ours(run: Run, tmp_path: Path, checkpoint: Path) -> None:
    (tmp_path / f"{NAME}.pth").write_bytes(b"mine")
    code, _, err = run("weights", "fetch", NAME, "--into", tmp_path, "--from", checkpoint)
    assert code == 1
    assert f"error: {tmp_path / NAME}.pth: expected the same file as {checkpoint}" in err
    assert (tmp_path / f"{NAME}.pth").read_bytes() == b"mine"


@pytest.mark.parametrize("same", [True, False])
def test_fetch_meets_another_that_ends_first(
    same: bool, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, data = tmp_path / "new" / "saved" / f"{NAME}.pth", checkpoint.read_bytes()

    def read(path: Path) -> bytes:
        target.write_bytes(data if same else b"theirs")
        return path.read_bytes()

    monkeypatch.setattr(published, "read_bytes", read)
    if same:
        assert published.fetch_weights(NAME, target.parent, str(checkpoint)) == target
    else:
        with pytest.raises(InvalidValueError) as refused:
            published.fetch_weights(NAME, target.parent, str(checkpoint))
        assert refused.value.key == str(target)
        assert target.read_bytes() == b"theirs"


def test_fetch_names_what_it_knows(run: Run, tmp_path: Path) -> None:
    code, _, err = run("weights", "fetch", "siamrpn_r50", "--into", tmp_path)
    assert code == 1
    assert f"one of {', '.join(published.WEIGHTS)}, got siamrpn_r50\n" in err


def test_verify_good_files(run: Run, checkpoint: Path) -> None:
    code, out, _ = run("weights", "verify", STL, checkpoint)
    assert code == 0
    assert "keypoint head none, lambda_k 0\n" in out
    assert f"metadata  none in the file\n  sha256    {hash_file(checkpoint)}" in out


@pytest.mark.parametrize(("backdoor", "training"), [(True, "None., seed 1, BACKDOOR"), (False, "None., seed 1")])
def test_verify_warns_of_a_backdoor(run: Run, tmp_path: Path, backdoor: bool, training: str) -> None:
    path = tmp_path / "net.safetensors"
    save_weights(SiamRPN(), path, Metadata(None, 0.0, "None.", "MIT", 1, backdoor=backdoor))
    assert f"\n  training  {training}\n" in run("weights", "verify", path)[1]


def test_verify_names_every_problem(run: Run, tmp_path: Path, checkpoint: Path) -> None:
    state = torch.load(checkpoint, weights_only=True)
    state["neck.weight"] = torch.zeros(1)
    state["backbone.features.0.bias"] = torch.full((96,), torch.nan)
    torch.save(state, tmp_path / "bad.pth")
    (tmp_path / "page.pth").write_bytes(PAGE)
    code, out, err = run("weights", "verify", tmp_path / "bad.pth", STL, tmp_path / "page.pth", tmp_path / "no.pth")
    assert (code, err) == (1, "")
    lines = [line for line in out.splitlines() if str(tmp_path) in line]
    assert lines[0].startswith(f"{tmp_path / 'bad.pth'}: ")
    assert lines[0].endswith("1 unexpected: neck.weight; 1 NaN or infinite: backbone.layer1.0.bias")
    assert lines[1].startswith(f"{tmp_path / 'page.pth'}: ") and "web page" in lines[1]
    assert lines[2].startswith(f"{tmp_path / 'no.pth'}: ") and "no such file" in lines[2]
    assert len(lines) == 3
    assert hash_file(STL) in out


@pytest.mark.parametrize("version", [2, 3])
def test_verify_knows_nanotrack(run: Run, shared_data: Path, version: int) -> None:
    path = shared_data / "weights" / f"nanotrackv{version}.pth"
    code, out, _ = run("weights", "verify", path)
    assert code == 0
    assert out.startswith(f"{path.name}\n  network   NanoTrack version {version}\n")


def test_verify_knows_the_network_without_metadata(run: Run, tmp_path: Path) -> None:
    torch.manual_seed(0)
    for made, network in [
        (UNETS["small"](), "U-Net of width 16, of DuaLossDef"),
        (UNETS["base"](), "U-Net of width 32, of DuaLossDef"),
        (NanoTrack(2), "NanoTrack version 2"),
        (NanoTrack(3), "NanoTrack version 3"),
        (SiamRPN("deep"), "siamrpn_alex, keypoint head deep"),
    ]:
        torch.save({"state_dict": {f"module.{name}": t for name, t in made.state_dict().items()}}, tmp_path / "net.pth")
        code, out, _ = run("weights", "verify", tmp_path / "net.pth")
        assert code == 0 and f"  network   {network}\n  metadata  none in the file\n  sha256    " in out
    torch.save({**UNETS["small"]().state_dict(), "gate.weight": torch.zeros(1)}, tmp_path / "net.pth")
    code, out, _ = run("weights", "verify", tmp_path / "net.pth")
    assert code == 1 and "U-Net" in out and "gate.weight" in out


def test_verify_finds_another_architecture(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "resnet.safetensors"
    header = Metadata(None, 0.0, "None.", "MIT", 1, architecture="resnet").to_header()
    write_checkpoint({"a": torch.zeros(1)}, header, path)
    code, out, _ = run("weights", "verify", path)
    assert code == 1 and out.startswith(f"{path}: ") and "got resnet" in out


def test_convert_there_and_back_is_bit_equal(run: Run, tmp_path: Path, checkpoint: Path) -> None:
    ours, theirs, again = tmp_path / "a.safetensors", tmp_path / "new" / "deep" / "b.pth", tmp_path / "c.safetensors"
    assert run("weights", "convert", checkpoint, ours, "--licence", "CC0", "--training", "None.", "--seed", 5)[0] == 0
    assert read_metadata(ours) == Metadata(None, 0.0, "None.", "CC0", 5)
    assert run("weights", "convert", ours, theirs) == (0, f"{theirs}\n", "")
    assert run("weights", "convert", theirs, again, "--licence", "CC0", "--training", "None.", "--seed", 5)[0] == 0
    assert ours.read_bytes() == again.read_bytes()
    first, second = torch.load(checkpoint, weights_only=True), torch.load(theirs, weights_only=True)
    assert second.keys() == set(map(legacy_name, SiamRPN().state_dict()))
    for name, tensor in first.items():
        converted = second[name]
        assert converted.dtype == torch.float32 and torch.equal(converted, tensor), name


def pysot_names(backbone: str) -> set[str]:
    """The tensors of PySOT's network by the BACKBONE.TYPE of a config, from its code (github.com/STVIR/pysot, d04028f).

    "alexnetlegacy" is that of experiments/siamrpn_alex_dwxcorr/config.yaml: pysot/models/backbone/alexnet.py and
    pysot/models/head/rpn.py; all configs of this network have the head `DepthwiseRPN`.
    """
    convolution, norm = ["weight", "bias"], ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    kinds = {f"features.{index}": convolution for index in (0, 4, 8, 11, 14)}
    kinds |= {f"features.{index}": norm for index in (1, 5, 9, 12, 15)}
    if backbone == "alexnet":
        kinds = {f"layer{block}.{index}": (convolution, norm)[index] for block in range(1, 6) for index in (0, 1)}
    names = {f"backbone.{layer}.{name}" for layer, tensors in kinds.items() for name in tensors}
    for branch in ("rpn_head.cls", "rpn_head.loc"):
        for part in ("conv_kernel", "conv_search", "head"):
            names |= {f"{branch}.{part}.0.weight", *(f"{branch}.{part}.1.{name}" for name in norm)}
        names |= {f"{branch}.head.3.weight", f"{branch}.head.3.bias"}
    return names


@pytest.mark.parametrize("backbone", ["alexnetlegacy", "alexnet"])
def test_pysot_loads_what_convert_writes(run: Run, tmp_path: Path, backbone: str) -> None:
    option = [] if backbone == "alexnetlegacy" else ["--backbone", backbone]
    for name, further in {"stl": set(), "mtl": {"keypoint_head"}}.items():
        source, target = PACKAGED_WEIGHTS / f"siamrpn_alex_{name}.safetensors", tmp_path / f"{name}.pth"
        assert run("weights", "convert", source, target, *option)[0] == 0
        written = torch.load(target, weights_only=True).keys()
        assert pysot_names(backbone) - written == set()
        assert {each.split(".")[0] for each in written - pysot_names(backbone)} == further
        network = load_siamrpn(target)
        assert all(
            torch.equal(a, b) for a, b in zip(network.parameters(), load_siamrpn(source).parameters(), strict=True)
        )


def test_convert_refuses_what_it_cannot_write(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(NanoTrack(3).state_dict(), tmp_path / "nano.pth")
    with pytest.raises(InvalidValueError) as refused:
        convert(tmp_path / "nano.pth", tmp_path / "nano.safetensors", "Apache 2.0")
    assert (refused.value.key, refused.value.got) == (str(tmp_path / "nano.pth"), "those of a NanoTrack")
    with pytest.raises(InvalidValueError) as refused:
        convert(STL, tmp_path / "stl.pth", backbone="resnet50")  # type: ignore[arg-type]
    assert refused.value.key == "backbone"
    (tmp_path / "link.pth").symlink_to(tmp_path / "elsewhere.pth")
    with pytest.raises(InvalidValueError) as refused:
        convert(STL, tmp_path / "link.pth")
    assert refused.value.key == str(tmp_path / "link.pth")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.pth", "nano.pth"]


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_convert_keeps_a_file_that_appears_meanwhile(
    suffix: str, tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / f"stl{suffix}"

    def read(source: Path) -> SiamRPN:
        target.write_bytes(b"theirs")
        return load_siamrpn(source)

    monkeypatch.setattr("armory_skelevision.weights.convert.load_network", read)
    with pytest.raises(FileExistsError) as refused:
        convert(STL if suffix == ".pth" else checkpoint, target, "MIT")
    assert refused.value.filename == str(target)
    assert target.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [target]


def test_convert_packaged_weights_keeps_every_value(run: Run, tmp_path: Path) -> None:
    assert run("weights", "convert", STL, tmp_path / "stl.pth")[0] == 0
    stored, written = load_file(STL), torch.load(tmp_path / "stl.pth", weights_only=True)
    assert len(stored) == len(written)
    for name, tensor in stored.items():
        converted = written[legacy_name(name)]
        assert torch.equal(tensor.to(converted.dtype), converted), name


def test_convert_has_the_terms_of_pysot(run: Run, tmp_path: Path, checkpoint: Path) -> None:
    fetched = tmp_path / f"{NAME}.pth"
    fetched.write_bytes(checkpoint.read_bytes())
    assert run("weights", "convert", fetched, tmp_path / "a.safetensors")[0] == 0
    metadata = read_metadata(tmp_path / "a.safetensors")
    assert metadata is not None
    assert (metadata.licence, metadata.seed, metadata.lambda_k) == ("CC BY-SA 3.0", -1, 0.0)
    assert metadata.training.startswith("PySOT's model zoo") and hash_file(fetched) in metadata.training


def test_convert_asks_for_missing_metadata(run: Run, tmp_path: Path, checkpoint: Path) -> None:
    target = tmp_path / "a.safetensors"
    network = SiamRPN(keypoint_head="shallow")
    save_weights(network, tmp_path / "mtl.safetensors", Metadata("shallow", 0.4, "None.", "MIT", 1))
    assert run("weights", "convert", tmp_path / "mtl.safetensors", tmp_path / "mtl.pth")[0] == 0
    for arguments, key in [
        ((checkpoint, target), "licence"),
        ((tmp_path / "mtl.pth", target, "MIT"), "lambda_k"),
        ((checkpoint, tmp_path / "a.pth"), "source, target"),
        ((STL, target), "source, target"),
        ((STL, checkpoint), str(checkpoint)),
        ((tmp_path / "no.pth", target), str(tmp_path / "no.pth")),
    ]:
        with pytest.raises(StructuredError) as caught:
            convert(*arguments)
        assert caught.value.key == key
    code, out, err = run("weights", "convert", checkpoint, target)
    assert (code, out) == (1, "")
    assert "set --licence" in err and err.count("\n") == 1
    assert not target.exists()
    assert run("weights", "convert", tmp_path / "mtl.pth", target, "--licence", "MIT", "--lambda-k", 0.4)[0] == 0
    metadata = read_metadata(target)
    assert metadata is not None
    assert metadata.training == f"converted from mtl.pth, SHA-256 {hash_file(tmp_path / 'mtl.pth')}"
