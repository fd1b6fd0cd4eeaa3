"""Inception v3 against an independent float64 computation, and against the table of contents of the public weight file."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sparring.core.errors import UserError
from sparring.judging import inception
from sparring.judging.extractors import extract
from sparring.networks.inception import CLASSES, InceptionV3

CONTENTS = "760681d791cb624e1bf7a2e802a68933dd17aa5e3109fcf498d9dfa521bc10d7"
"""sha256 of the sorted lines "name (shape)" that stand at the head of the public weight file"""


@pytest.fixture(scope="module")
def network() -> InceptionV3:
    """Random weights that keep the size of the values from layer to layer."""
    with torch.device("meta"):
        made = InceptionV3()
    made = made.to_empty(device="cpu").eval().requires_grad_(False)
    chance = torch.Generator().manual_seed(0)
    for name, value in made.state_dict().items():
        if name.endswith("num_batches_tracked"):
            value.zero_()
        elif name.endswith(("running_var", "bn.weight")):
            value.uniform_(0.5, 1.5, generator=chance)
        elif value.dim() == 1:
            value.normal_(0, 0.1, generator=chance)
        else:
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=chance)
    return made


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    coarse = torch.randint(0, 256, (1, 3, 299, 299), generator=torch.Generator().manual_seed(1))
    return coarse.float()


# --- the independent computation: from Szegedy et al. 2015, figures 5 to 7 and 10, and the graph's padding rules --------


class Reference:
    """The layers as formulas in float64, with TensorFlow's SAME and VALID padding worked out by hand."""

    def __init__(self, state: dict[str, Tensor]):
        self.state = {name: value.double() for name, value in state.items()}

    def layer(self, name: str, x: Tensor, stride: int = 1, same: bool = True) -> Tensor:
        part = {key: self.state[f"{name}.{key}"] for key in ("conv.weight", "bn.running_mean", "bn.running_var")}
        kernel = part["conv.weight"]
        if same:
            high, wide = kernel.shape[2] - 1, kernel.shape[3] - 1
            x = functional.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        scale = self.state[f"{name}.bn.weight"] / (part["bn.running_var"] + 1e-3) ** 0.5
        shift = self.state[f"{name}.bn.bias"] - part["bn.running_mean"] * scale
        y = functional.conv2d(x, kernel * scale[:, None, None, None], shift, stride)
        return y * (y > 0)

    def chain(self, x: Tensor, *names: str) -> Tensor:
        for name in names:
            x = self.layer(name, x)
        return x

    def a(self, block: str, x: Tensor) -> Tensor:
        return torch.cat(
            [
                self.chain(x, f"{block}.branch1x1"),
                self.chain(x, f"{block}.branch5x5_1", f"{block}.branch5x5_2"),
                self.chain(x, *(f"{block}.branch3x3dbl_{k}" for k in (1, 2, 3))),
                self.chain(mean_of_neighbours(x), f"{block}.branch_pool"),
            ],
            1,
        )

    def b(self, block: str, x: Tensor) -> Tensor:
        inner = self.chain(x, f"{block}.branch3x3dbl_1", f"{block}.branch3x3dbl_2")
        return torch.cat(
            [
                self.layer(f"{block}.branch3x3", x, 2, same=False),
                self.layer(f"{block}.branch3x3dbl_3", inner, 2, same=False),
                max_of_windows(x, 2),
            ],
            1,
        )

    def c(self, block: str, x: Tensor) -> Tensor:
        return torch.cat(
            [
                self.chain(x, f"{block}.branch1x1"),
                self.chain(x, *(f"{block}.branch7x7_{k}" for k in (1, 2, 3))),
                self.chain(x, *(f"{block}.branch7x7dbl_{k}" for k in (1, 2, 3, 4, 5))),
                self.chain(mean_of_neighbours(x), f"{block}.branch_pool"),
            ],
            1,
        )

    def d(self, block: str, x: Tensor) -> Tensor:
        inner = self.chain(x, *(f"{block}.branch7x7x3_{k}" for k in (1, 2, 3)))
        return torch.cat(
            [
                self.layer(f"{block}.branch3x3_2", self.chain(x, f"{block}.branch3x3_1"), 2, same=False),
                self.layer(f"{block}.branch7x7x3_4", inner, 2, same=False),
                max_of_windows(x, 2),
            ],
            1,
        )

    def e(self, block: str, x: Tensor, pool: Callable[[Tensor], Tensor]) -> Tensor:
        once = self.chain(x, f"{block}.branch3x3_1")
        twice = self.chain(x, f"{block}.branch3x3dbl_1", f"{block}.branch3x3dbl_2")
        return torch.cat(
            [
                self.chain(x, f"{block}.branch1x1"),
                self.chain(once, f"{block}.branch3x3_2a"),
                self.chain(once, f"{block}.branch3x3_2b"),
                self.chain(twice, f"{block}.branch3x3dbl_3a"),
                self.chain(twice, f"{block}.branch3x3dbl_3b"),
                self.chain(pool(x), f"{block}.branch_pool"),
            ],
            1,
        )

    def run(self, pictures: Tensor) -> Iterator[tuple[str, Tensor]]:
        x = pictures.double() / 128 - 1
        yield "Conv2d_1a_3x3", (x := self.layer("Conv2d_1a_3x3", x, 2, same=False))
        yield "Conv2d_2a_3x3", (x := self.layer("Conv2d_2a_3x3", x, same=False))
        yield "Conv2d_2b_3x3", (x := self.layer("Conv2d_2b_3x3", x))
        yield "Conv2d_3b_1x1", (x := self.layer("Conv2d_3b_1x1", max_of_windows(x, 2)))
        yield "Conv2d_4a_3x3", (x := self.layer("Conv2d_4a_3x3", x, same=False))
        x = max_of_windows(x, 2)
        for name, block in [*((f"Mixed_5{k}", self.a) for k in "bcd"), ("Mixed_6a", self.b)]:
            yield name, (x := block(name, x))
        for name, block in [*((f"Mixed_6{k}", self.c) for k in "bcde"), ("Mixed_7a", self.d)]:
            yield name, (x := block(name, x))
        yield "Mixed_7b", (x := self.e("Mixed_7b", x, mean_of_neighbours))
        yield "Mixed_7c", (x := self.e("Mixed_7c", x, lambda y: max_of_windows(padded(y, -torch.inf), 1)))
        yield "features", (x := x.flatten(2).mean(2))
        yield "logits", torch.einsum("nf,cf->nc", x, self.state["fc.weight"])


def padded(x: Tensor, value: float) -> Tensor:
    return functional.pad(x, (1, 1, 1, 1), value=value)


def windows(x: Tensor, stride: int) -> Tensor:
    return x.unfold(2, 3, stride).unfold(3, 3, stride).flatten(4)


def max_of_windows(x: Tensor, stride: int) -> Tensor:
    return windows(x, stride).amax(4)


def mean_of_neighbours(x: Tensor) -> Tensor:
    """The sum of the neighbours that exist over their number."""
    return windows(padded(x, 0), 1).sum(4) / windows(padded(torch.ones_like(x[:1, :1]), 0), 1).sum(4)


SIZES = {
    "Conv2d_1a_3x3": (32, 149), "Conv2d_2a_3x3": (32, 147), "Conv2d_2b_3x3": (64, 147), "Conv2d_3b_1x1": (80, 73),
    "Conv2d_4a_3x3": (192, 71), "Mixed_5b": (256, 35), "Mixed_5c": (288, 35), "Mixed_5d": (288, 35), "Mixed_6a": (768, 17),
    "Mixed_6b": (768, 17), "Mixed_6c": (768, 17), "Mixed_6d": (768, 17), "Mixed_6e": (768, 17), "Mixed_7a": (1280, 8),
    "Mixed_7b": (2048, 8), "Mixed_7c": (2048, 8),
}  # fmt: skip


def test_layer_by_layer(network: InceptionV3, pictures: Tensor) -> None:
    found: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _m, _i, given, name=name: found.update({name: given}))
        for name, module in network.named_children()
        if name in SIZES
    ]
    seen = network(pictures)
    for hook in hooks:
        hook.remove()
    found |= {"features": seen.features, "logits": seen.logits}
    compared = []
    for name, wanted in Reference(network.state_dict()).run(pictures):
        if name in SIZES:
            channels, side = SIZES[name]
            assert found[name].shape == (1, channels, side, side), name
        error = (found[name].double() - wanted).abs().max() / wanted.abs().max()
        assert error < 1e-5, (name, error)
        assert wanted.std() > 0.05, name
        compared.append(name)
    assert compared == [*SIZES, "features", "logits"]


def test_names_and_shapes_are_those_of_the_public_file(network: InceptionV3) -> None:
    state = network.state_dict()
    lines = sorted(f"{name} {tuple(value.shape)}" for name, value in state.items())
    assert len(lines) == 566
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == CONTENTS
    assert sum(value.numel() for value in state.values()) == 23_885_486
    # The paper's network, without auxiliary classifier and with 1000 classes, has 23,834,568.
    assert sum(weight.numel() for weight in network.parameters()) == 23_834_568 + 8 * (2048 + 1)


def test_logits_have_no_bias(network: InceptionV3, pictures: Tensor) -> None:
    before = network(pictures[:, :, :149, :149])
    with torch.no_grad():
        network.fc.bias.add_(1)
    after = network(pictures[:, :, :149, :149])
    assert torch.equal(before.logits, after.logits)
    assert before.logits.shape == (1, CLASSES)


# --- files --------------------------------------------------------------------------------------------------------------


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def content(network: InceptionV3) -> bytes:
    """As the public file is: in torch's format of before 2020."""
    file = io.BytesIO()
    torch.save(network.state_dict(), file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def test_a_file_of_weights_gives_features(
    tmp_path: Path, content: bytes, network: InceptionV3, pictures: Tensor
) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    extractor = inception.Inception(path, digest=digest_of(content))
    assert extractor.name == f"inception-v3-tf sha256:{digest_of(content)[:8]}"
    assert extractor.resize == "299 px antialiased bicubic, 8 bit"
    found = extract(extractor, pictures / 127.5 - 1)
    wanted = network(pictures)
    assert (found.features - wanted.features).abs().max() < 1e-5 * wanted.features.abs().max()
    assert found.logits is not None and found.logits.shape == (1, CLASSES)
    small = pictures[:, :1, :32, :32] / 127.5 - 1
    assert torch.equal(extractor(small).features, extractor(small.expand(-1, 3, -1, -1)).features)
    with pytest.raises(UserError, match="takes pictures of 3 channels; these have 2"):
        extractor(torch.zeros(1, 2, 32, 32))
    with pytest.raises(UserError, match="try pixels"):
        extractor(torch.zeros(1, 2))


def test_a_wrong_or_cut_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"weights\.pth: not Inception's weights, or damaged.*Delete it and fetch"):
        inception.Inception(path)
    with pytest.raises(UserError, match=r"missing\.pth: cannot be read"):
        inception.Inception(tmp_path / "missing.pth")
    for damaged in (content[: len(content) // 2], b"nonsense", b""):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"weights\.pth: cannot be read as weights"):
            inception.load_network(path, digest_of(damaged))


class Trap:
    """A pickle that would leave a file behind."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    path, sign = tmp_path / "weights.pth", tmp_path / "executed"
    torch.save({"trap": Trap(sign)}, path)
    with pytest.raises(UserError, match="cannot be read as weights"):
        inception.load_network(path, digest_of(path.read_bytes()))
    assert not sign.exists()


@pytest.mark.parametrize("state", [{"fc.weight": torch.zeros(2, 2)}, {}, [1, 2], {"fc.weight": 3}])
def test_other_shapes_are_refused(tmp_path: Path, state: object) -> None:
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    with pytest.raises(UserError, match=r"weights\.pth: its weights do not fit Inception \(.*Conv2d_1a_3x3"):
        inception.load_network(path, digest_of(path.read_bytes()))


def test_the_weights_are_fetched_into_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"weights" * 1000

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            body = content if self.path == "/right" else content[::-1]
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    wrong, right = (f"http://127.0.0.1:{server.server_port}/{kind}" for kind in ("wrong", "right"))
    try:
        with pytest.raises(UserError, match=r"its checksum is wrong.*Put the file pt_inception"):
            inception.fetched([wrong], digest_of(content))
        path = inception.fetched([wrong, right], digest_of(content))
    finally:
        server.shutdown()
        server.server_close()
    assert path == tmp_path / "sparring" / "judges" / inception.FILE
    assert path.read_bytes() == content
    assert inception.fetched([wrong], digest_of(content)) == path


def test_the_digest_is_the_one_in_the_files_name() -> None:
    assert len(bytes.fromhex(inception.DIGEST)) == 32
    assert f"-{inception.DIGEST[:8]}.pth" in inception.FILE
    assert all(url.endswith(f"inception-2015-12-05-{inception.DIGEST[:8]}.pth") for url in inception.URLS)
