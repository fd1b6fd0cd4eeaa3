"""Extractors: exact resizing, the same features however they are batched, files of the user's, and clear refusals."""

from __future__ import annotations

import hashlib
import pickle
import sys
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor, nn

from sparring.core.errors import UserError
from sparring.data.images import Images
from sparring.data.points import Points
from sparring.judging.extractors import Extractor, Features, Pixels, extract, named, stream
from sparring.judging.own import Module, Onnx, Scripted
from sparring.judging.resize import bicubic, eight_bit

DATA = Images("digits", 28, 1)


class Small(nn.Module):
    """Something that a user might have."""

    def __init__(self, channels: int = 3, width: int = 7) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
        )
        self.out = nn.Linear(32, width)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.layers(images)
        return features, self.out(features)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(23, 3, 24, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1


def script(module: nn.Module, path: Path, example: Tensor) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(module.eval(), example), path)
    return path


class Exported(NamedTuple):
    path: Path
    module: Small


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Through PyTorch's exporter, as a user would do it; any number of pictures of 24 x 24."""
    pytest.importorskip("onnxscript")
    module, path = Small().eval(), tmp_path_factory.mktemp("onnx") / "mine.onnx"
    shapes = ({0: torch.export.Dim("count")},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.zeros(2, 3, 24, 24),), path, dynamic_shapes=shapes, external_data=False, verbose=False
        )
    return Exported(path, module)


def graph(path: Path, shape: list[int | None], kind: int = 1) -> Path:
    """An ONNX file that flattens its input; `kind` is the element type, 1 for float."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    given = helper.make_tensor_value_info("given", kind, shape)
    flat = helper.make_tensor_value_info("flat", kind, [shape[0], None])
    made = helper.make_graph([helper.make_node("Flatten", ["given"], ["flat"])], "flatten", [given], [flat])
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def close(first: Tensor, second: Tensor) -> bool:
    return bool((first - second).abs().max() <= 1e-5 * second.abs().max())


# --- resizing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"), [(28, 299), (32, 299), (300, 299), (512, 299), (299, 299), (640, 299), (256, 64), (7, 64)]
)
def test_resizing_is_pillows(before: int, after: int) -> None:
    width = before + before // 3
    pixels = np.random.default_rng(0).integers(0, 256, (2, before, width)).astype(np.float32)
    wanted = [
        np.asarray(PIL.Image.fromarray(each).resize((after, after), PIL.Image.Resampling.BICUBIC)) for each in pixels
    ]
    found = bicubic(torch.from_numpy(pixels)[None], after)[0].numpy()
    assert np.abs(found - np.stack(wanted)).max() < 255 * 1e-6


def test_resizing_neither_rounds_nor_cuts() -> None:
    edge = torch.zeros(1, 1, 8, 8)
    edge[..., 4:] = 255
    found = bicubic(edge, 32)
    assert found.min() < -5 and found.max() > 260
    assert (found != found.round()).any()


def test_eight_bit_is_what_a_file_would_hold(tmp_path: Path) -> None:
    from sparring.core.media import save_image

    image = torch.rand(1, 3, 16, 16) * 2.4 - 1.2
    saved = np.asarray(PIL.Image.open(save_image(image, tmp_path / "image.png")))
    assert np.array_equal(eight_bit(image)[0].permute(1, 2, 0).numpy(), saved)


# --- any extractor ------------------------------------------------------------------------------------------------------


def test_pixels() -> None:
    examples = torch.rand(5, 2, 3, 4)
    assert torch.equal(Pixels()(examples).features, examples.flatten(1))
    assert torch.equal(Pixels()(torch.ones(5, 2, dtype=torch.float64)).features, torch.ones(5, 2))
    assert (Pixels.name, Pixels.resize, Pixels.classes) == ("pixels", "none", 0)


@pytest.mark.parametrize("size", [0, 32])
def test_batches_make_no_difference(images: Tensor, size: int) -> None:
    extractor = Module(Small(), "small", size)
    whole = extract(extractor, images)
    for given in (extract(extractor, images, 4), extract(extractor, iter(images.split(10)), 7)):
        assert close(given.features, whole.features)
        assert given.logits is not None and whole.logits is not None and close(given.logits, whole.logits)
    assert [len(part.features) for part in stream(extractor, images, 10)] == [10, 10, 3]


def test_frozen_and_in_full_precision(images: Tensor) -> None:
    module = Small().train()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            found = Module(module)(images)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert not module.training
    assert found.features.dtype == torch.float32 and not found.features.requires_grad
    assert torch.equal(found.features, Module(module)(images).features)


def test_nothing_to_look_at() -> None:
    with pytest.raises(UserError, match="no examples"):
        extract(Pixels(), iter([]))


# --- of the user's own --------------------------------------------------------------------------------------------------


def test_a_module_says_which_weights_it_has() -> None:
    torch.manual_seed(0)
    module = Small()
    first = Module(module).name
    assert first.startswith("user Small sha256:") and len(first.rpartition(":")[2]) == 8
    assert Module(module).name == first
    with torch.no_grad():
        module.out.bias[0] += 1
    assert Module(module).name != first


@pytest.mark.parametrize("size", [0, 40])
def test_torchscript_round_trip(tmp_path: Path, images: Tensor, size: int) -> None:
    module = Small()
    path = script(module, tmp_path / "mine.pt", images)
    found, wanted = named(str(path), DATA, size)(images), Module(module, size=size)(images)
    assert close(found.features, wanted.features)
    assert found.logits is not None and wanted.logits is not None and close(found.logits, wanted.logits)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    assert named(str(path), DATA).name == f"user mine.pt sha256:{digest}"
    assert named(str(path), DATA, 40).resize == "40 px antialiased bicubic, 8 bit"


def test_onnx_round_trip(exported: Exported, images: Tensor) -> None:
    extractor = named(str(exported.path), DATA)
    found, wanted = extractor(images), Module(exported.module, size=24)(images)
    assert close(found.features, wanted.features)
    assert found.logits is not None and wanted.logits is not None and close(found.logits, wanted.logits)
    assert extractor.name.startswith("user mine.onnx sha256:")
    assert extractor.resize == "24 px antialiased bicubic, 8 bit"
    grey = torch.rand(3, 1, 50, 50) * 2 - 1
    assert close(extractor(grey).features, Module(exported.module, size=24, channels=3)(grey).features)


@pytest.mark.parametrize("count", [1, 4, 23, 50])
def test_onnx_of_one_batch_size(tmp_path: Path, images: Tensor, count: int) -> None:
    found = Onnx(graph(tmp_path / "mine.onnx", [count, 3, None, None]))(images)
    assert found.logits is None
    assert torch.equal(found.features, images.flatten(1))


def test_onnx_with_weights_elsewhere(tmp_path: Path, exported: Exported) -> None:
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "mine.onnx"
    onnx.save_model(onnx.load(exported.path), path, save_as_external_data=True, location="w", size_threshold=0)
    with pytest.raises(UserError, match=r"mine\.onnx: its weights are in another file"):
        Onnx(path)


def test_onnx_that_is_none(tmp_path: Path, exported: Exported, images: Tensor) -> None:
    good = exported.path.read_bytes()
    for content in (good[: len(good) // 2], b"nonsense", b""):
        (tmp_path / "bad.onnx").write_bytes(content)
        with pytest.raises(UserError, match=r"bad\.onnx"):
            Onnx(tmp_path / "bad.onnx")(images)


def test_onnx_of_other_inputs(tmp_path: Path) -> None:
    for shape, kind in (([2, 3], 1), ([None, 3, 8, 8], 2)):
        with pytest.raises(
            UserError, match=r"mine\.onnx: its input must be one float tensor, N x C x H x W; it takes given"
        ):
            Onnx(graph(tmp_path / "mine.onnx", shape, kind))
    with pytest.raises(UserError, match="takes pictures of 8 x 9"):
        Onnx(graph(tmp_path / "mine.onnx", [None, 3, 8, 9]))
    with pytest.raises(UserError, match="takes pictures of 8 x 8, not square ones of 9"):
        Onnx(graph(tmp_path / "mine.onnx", [None, 3, 8, 8]), 9)


def test_onnx_needs_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.onnx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"pip install 'sparring\[onnx\]'"):
        Onnx(tmp_path / "mine.onnx")


class Trap:
    """A pickle that would leave a file behind."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    path, sign = tmp_path / "mine.pt", tmp_path / "executed"
    torch.save(Trap(sign), path)
    with pytest.raises(UserError, match=r"mine\.pt: not a TorchScript file; .*pickled modules are never opened"):
        Scripted(path)
    path.write_bytes(pickle.dumps(Trap(sign)))
    with pytest.raises(UserError, match=r"mine\.pt: not a TorchScript file"):
        Scripted(path)
    assert not sign.exists()


def test_damaged_torchscript(tmp_path: Path, images: Tensor) -> None:
    path = script(Small(), tmp_path / "mine.pt", images)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(UserError, match=r"mine\.pt: not a TorchScript file, or damaged"):
        Scripted(path)


def test_torchscript_that_touches_files_is_refused(tmp_path: Path) -> None:
    class Writer(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            torch.save(images, "stolen.pt")
            return images.flatten(1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Writer()), tmp_path / "mine.pt")
    with zipfile.ZipFile(tmp_path / "mine.pt") as archive:
        assert any(b"save" in archive.read(name) for name in archive.namelist() if name.endswith(".py"))
    with pytest.raises(UserError, match=r"mine\.pt: uses 'save\(', which no extractor needs"):
        Scripted(tmp_path / "mine.pt")
    with zipfile.ZipFile(tmp_path / "mine.pt", "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in [name for name in archive.namelist() if name.endswith(".py")]:
            archive.writestr(name, "harmless")
    with pytest.raises(UserError, match=r"mine\.pt: uses 'save\('"):
        Scripted(tmp_path / "mine.pt")


def test_size_limit(tmp_path: Path, images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparring.judging.own.LIMIT", 1000)
    path = script(Small(), tmp_path / "mine.pt", images)
    with pytest.raises(UserError, match="at most 1,000"):
        Scripted(path)


class Odd(nn.Module):
    """Gives what is no features."""

    def __init__(self, what: object):
        super().__init__()
        self.what = what

    def forward(self, images: Tensor) -> object:
        return {
            "maps": images,
            "row": images.flatten(),
            "few": images.flatten(1)[:1],
            "whole numbers": images.flatten(1).long(),
            "text": "text",
            "three": (images.flatten(1),) * 3,
            "flat logits": (images.flatten(1), images.flatten()),
        }[str(self.what)]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("maps", r"features of shape 2 x 3 x 4 x 4 for 2 examples"),
        ("row", r"features of shape 96 for 2"),
        ("few", r"features of shape 1 x 48 for 2"),
        ("whole numbers", r"not a tensor of float numbers"),
        ("text", r"gives str for features"),
        ("three", r"gives 3 things"),
        ("flat logits", r"gives logits of shape 96"),
    ],
)
def test_what_is_no_features_is_refused(what: str, message: str) -> None:
    with pytest.raises(UserError, match=rf"^user odd sha256:.*{message}"):
        Module(Odd(what), "odd")(torch.zeros(2, 3, 4, 4))


def test_pictures_that_do_not_fit(images: Tensor) -> None:
    with pytest.raises(UserError, match=r"cannot look at pictures of 23 x 1 x 24 x 24"):
        Module(Small())(images[:, :1])
    with pytest.raises(UserError, match=r"takes pictures of 3 channels; these have 2"):
        Module(Small(), channels=3)(images[:, :2])


# --- by name ------------------------------------------------------------------------------------------------------------


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert isinstance(named("pixels", DATA), Pixels)
    with pytest.raises(UserError, match=r"sparring judge train --data digits --size 28 --channels 1`"):
        named("judge", DATA)
    with pytest.raises(UserError, match="use the extractor pixels"):
        named("judge", Points("ring"))
    with pytest.raises(UserError, match=r"no extractor 'inseption': it is pixels, judge, inception"):
        named("inseption", DATA)
    (tmp_path / "file.txt").write_text("")
    with pytest.raises(UserError, match=r"file\.txt: not an extractor"):
        named(str(tmp_path / "file.txt"), DATA)
    for suffix in ("pth", "pt", "onnx", "safetensors"):
        (tmp_path / f"file.{suffix}").write_text("nonsense")
        with pytest.raises(UserError, match=rf"file\.{suffix}: "):
            named(str(tmp_path / f"file.{suffix}"), DATA)


def test_ones_own_extractor(images: Tensor) -> None:
    class Mean(Extractor):
        name = "mean colour"

        def features(self, examples: Tensor) -> Features:
            return Features(examples.mean((2, 3)))

    assert torch.equal(extract(Mean(), images, 23).features, images.mean((2, 3)))
