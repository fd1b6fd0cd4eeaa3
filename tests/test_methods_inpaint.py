"""Inpainting: holes, their masks, the verb that fills them, and the game that learns to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import sparring
from sparring import api, cli
from sparring.core import Model, UserError, optimizers
from sparring.core.media import Masks, load_image, save_image
from sparring.data import masks
from sparring.data.images import ImageBatch, Images
from sparring.methods import context_encoder
from sparring.tasks import inpaint

KINDS = ["centre", "blocks", "free"]
SIZE = 32
HERE = torch.device("cpu")


def config(**changes: Any) -> Any:
    tiny = api.starting_point("context_encoder", "tiny")
    data = Images("digits", size=SIZE, channels=changes.pop("channels", 1))
    return tiny.replace(data=data, precision="float32", device="cpu", **changes)


def model(**changes: Any) -> Any:
    torch.manual_seed(0)
    return context_encoder.Model(config(**changes)).eval()


class Smooth(inpaint.Inpaint):
    """In place of a network: all in the mean colour of what is known of the window."""

    def __init__(self, settings: Any, whole: bool = True, overlap: int = 0):
        Model.__init__(self, settings)
        self.whole, self.overlap, self.core = whole, overlap, SIZE // 2 - (0 if whole else 2 * overlap)
        self.mirror = False
        self.nothing = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[Tensor] = []

    def complete(self, images: Tensor, hole: Tensor) -> Tensor:
        self.seen.append(hole)
        known = 1 - hole
        colour = (images * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)
        return colour.expand_as(images)

    def holes(self, count: int, device: torch.device) -> Tensor:
        return masks.centre(count, SIZE, device)


def gradient(height: int, width: int, channels: int = 1) -> Tensor:
    """Darker to the left and above, lighter to the right and below."""
    down, right = torch.linspace(-0.8, 0, height)[:, None], torch.linspace(0, 0.8, width)
    return (down + right).expand(1, channels, -1, -1).clone()


def box(height: int, width: int, top: int, bottom: int, left: int, right: int) -> Tensor:
    mask = torch.zeros(1, 1, height, width)
    mask[:, :, top:bottom, left:right] = 1
    return mask


# --- holes of training --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [16, 28, 64, 128])
@pytest.mark.parametrize("draw", [masks.centre, masks.blocks, masks.free])
def test_holes_are_there_and_no_more_than_a_quarter(draw: Any, size: int) -> None:
    torch.manual_seed(0)
    holes = draw(64, size, HERE)
    assert holes.shape == (64, 1, size, size)
    assert holes.dtype == torch.float32
    assert set(holes.unique().tolist()) == {0.0, 1.0}
    share = holes.mean((1, 2, 3))
    assert share.min() > 0
    assert share.max() <= masks.MOST


def test_the_centre_is_a_quarter_and_less_by_its_inset() -> None:
    assert masks.centre(2, 32, HERE).sum((1, 2, 3)).tolist() == [256, 256]
    assert masks.centre(1, 32, HERE, inset=3).sum() == 10 * 10
    assert masks.centre(1, 32, HERE)[0, 0].flip(0, 1).equal(masks.centre(1, 32, HERE)[0, 0])


@pytest.mark.parametrize("draw", [masks.blocks, masks.free])
def test_holes_differ_come_from_the_seed_and_are_everywhere(draw: Any) -> None:
    torch.manual_seed(0)
    first = draw(256, 32, HERE)
    torch.manual_seed(0)
    assert first.equal(draw(256, 32, HERE))
    assert not first.equal(draw(256, 32, HERE))
    assert len(first.flatten(1).unique(dim=0)) > 250
    often = first.mean((0, 1))
    assert often.min() > 0
    assert 0.08 < first.mean() < 0.22


# --- losses -------------------------------------------------------------------------------------------------------------


def test_overlap_weights_sum() -> None:
    """A hole of h px, and a rim of o px that weighs w: h^2 + w ((h + 2 o)^2 - h^2), and nothing outside the middle."""
    settings = config(overlap=2, overlap_weight=10.0)
    game = context_encoder.Game(context_encoder.Model(settings), settings)
    hole = game.model.holes(3, HERE)
    weight = game.weights(hole)
    assert weight.sum((1, 2, 3)).tolist() == [12**2 + 10 * (16**2 - 12**2)] * 3
    assert weight.unique().tolist() == [0, 1, 10]
    assert game.model.made(weight).sum() == weight.sum()


@pytest.mark.parametrize("reach", [0, 1, 5])
def test_widened_reaches_so_far(reach: int) -> None:
    hole = box(32, 40, 10, 14, 20, 21)
    assert inpaint.widened(hole, reach).equal(box(32, 40, 10 - reach, 14 + reach, 20 - reach, 21 + reach))


def test_the_reconstruction_is_the_weighted_mean_of_squares() -> None:
    settings = config(overlap=2, overlap_weight=4.0, adversarial_weight=0.0, reconstruction_weight=1.0)
    game = context_encoder.Game(context_encoder.Model(settings), settings)
    assert [*game.players] == ["generator_player"]
    real, hole = torch.zeros(2, 1, 32, 32), game.model.holes(2, HERE)
    fake = torch.zeros(2, 1, 16, 16)
    fake[:, :, 2:-2, 2:-2] = 1
    loss = game.joint(real, hole, fake, sparring.core.Notes())
    assert loss.item() == pytest.approx(144 / (144 + 4 * 112))


@pytest.mark.parametrize("holes", KINDS)
def test_the_network_does_not_see_into_holes(holes: str) -> None:
    filler = model(holes=holes)
    torch.manual_seed(0)
    hole, image = filler.holes(4, HERE), torch.rand(4, 1, SIZE, SIZE) * 2 - 1
    other = torch.where(hole > 0, torch.rand(4, 1, SIZE, SIZE) * 2 - 1, image)
    assert not other.equal(image)
    assert filler.seen(image, hole).equal(filler.seen(other, hole))
    assert filler.complete(image, hole).mul(hole).allclose(filler.complete(other, hole).mul(hole), atol=1e-6)


@pytest.mark.parametrize("holes", KINDS)
def test_a_film_is_what_is_filled_in_before_anything_is_learned(holes: str) -> None:
    """A network that makes nothing leaves the film; what is known is shown as it is."""
    filler = model(holes=holes)
    torch.manual_seed(0)
    hole, image = filler.holes(1, HERE), torch.rand(1, 1, SIZE, SIZE) * 2 - 1
    film = inpaint.membrane(filler.made(image), 1 - filler.made(hole))
    seen = filler.seen(image, hole)
    assert torch.allclose(filler.made(seen[:, :1]), film)
    assert torch.equal(seen[:, :1][hole == 0], image[hole == 0])
    filler.generator.forward = lambda given: torch.zeros_like(film)
    assert torch.allclose(filler.drawn(seen), film)


@pytest.mark.parametrize("holes", KINDS)
def test_a_hole_is_seen_in_the_mean_colour_of_the_rest(holes: str) -> None:
    filler = model(holes=holes, film=False)
    torch.manual_seed(0)
    hole, image = filler.holes(1, HERE), torch.rand(1, 1, SIZE, SIZE) * 2 - 1
    inside = filler.seen(image, hole)[:, :1][hole > 0]
    assert inside.allclose(image[hole == 0].mean().expand_as(inside), atol=1e-5)


@pytest.mark.parametrize("holes", KINDS)
def test_halves_of_a_batch_draw_the_same_holes(holes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without batch norm's statistics, the step would be the same: what is drawn does not depend on the parts."""
    monkeypatch.setattr(optimizers.Adam, "move", lambda self, gradients: None)
    drawn: list[Tensor] = []
    original = context_encoder.Model.seen

    def watched(model: Any, image: Tensor, hole: Tensor) -> Tensor:
        drawn.append(hole)
        return original(model, image, hole)

    monkeypatch.setattr(context_encoder.Model, "seen", watched)
    settings = config(holes=holes)
    for split in (1, 2):
        torch.manual_seed(0)
        game = context_encoder.Game(context_encoder.Model(settings), settings)
        game.split = split
        torch.manual_seed(1)
        game.step(iter([ImageBatch(torch.zeros(8, 1, SIZE, SIZE), torch.zeros(8))]))
    assert [len(part) for part in drawn] == [8, 4, 4]
    assert torch.cat(drawn[1:]).equal(drawn[0])


# --- the verb -----------------------------------------------------------------------------------------------------------

HOLES = {
    "a speck": box(50, 70, 20, 21, 30, 31),
    "the middle": box(50, 70, 17, 33, 27, 43),
    "a corner": box(50, 70, 0, 9, 0, 9),
    "across": box(50, 70, 24, 27, 0, 70),
    "nearly all": 1 - box(50, 70, 0, 2, 0, 70),
    "far apart": box(50, 70, 3, 8, 3, 9).maximum(box(50, 70, 40, 48, 60, 65)),
    "dust": (torch.rand(1, 1, 50, 70, generator=torch.Generator().manual_seed(0)) < 0.1).float(),
}


@pytest.mark.parametrize("holes", KINDS)
@pytest.mark.parametrize("where", HOLES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_what_is_known_comes_back_bit_for_bit(channels: int, where: str, holes: str) -> None:
    filler, mask = model(holes=holes), HOLES[where]
    image = torch.rand(1, channels, 50, 70, generator=torch.Generator().manual_seed(1)) * 2 - 1
    filled = filler.inpaint(image, mask)
    assert filled.shape == image.shape
    assert filled.dtype == image.dtype
    inside = (mask > 0).expand_as(image).clone()
    inside[:, 3:] = False
    assert filled[~inside].equal(image[~inside])
    assert not torch.isclose(filled[inside], image[inside]).all()
    assert filled.abs().max() <= 1


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("side", [(20, 30), (300, 400)])
def test_large_holes_are_filled_everywhere_and_without_seams(whole: bool, side: tuple[int, int]) -> None:
    """No flat block is left, and no step between windows is larger than the picture's own slope by far."""
    height, width = side
    image, mask = gradient(*side), box(*side, height // 5, height * 4 // 5, width // 5, width * 4 // 5)
    filled = Smooth(config(), whole, overlap=3).inpaint(image, mask)
    inside = filled[mask > 0].view(height * 4 // 5 - height // 5, -1)
    assert (inside.diff(dim=0).abs() + inside.diff(dim=1).abs()[:-1, :1] > 0).float().mean() > 0.95
    steps = max(filled.diff(dim=axis).abs().max().item() for axis in (2, 3))
    own = max(image.diff(dim=axis).abs().max().item() for axis in (2, 3))
    assert steps < 3 * own
    assert (filled - image).abs().mean() < 0.1


def test_a_network_of_the_middle_is_asked_for_the_middle() -> None:
    smooth = Smooth(config(), whole=False, overlap=3)
    smooth.inpaint(gradient(50, 70), HOLES["across"])
    wanted = masks.centre(1, SIZE, HERE, inset=3)
    assert all(hole.equal(wanted.expand_as(hole)) for hole in smooth.seen)


def test_a_hole_that_fits_is_filled_by_one_window_around_it() -> None:
    """What the verb gives is then what the network gives."""
    smooth = Smooth(config(), whole=False)
    image = torch.rand(1, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    mask = box(48, 48, 16, 32, 16, 32)
    filled = smooth.inpaint(image, mask)
    assert len(smooth.seen) == 1
    window = image[:, :, 8:40, 8:40]
    inside = mask[:, :, 8:40, 8:40] > 0
    assert filled[:, :, 8:40, 8:40][inside].allclose(smooth.complete(window, smooth.seen[0])[inside], atol=1e-5)


def test_pictures_in_the_mirror_are_filled_mirrored() -> None:
    filler = model()
    filler.mirror = True
    image = torch.rand(1, 1, 48, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = box(48, 48, 16, 32, 16, 32)
    assert filler.inpaint(image.flip(3), mask.flip(3)).flip(3).allclose(filler.inpaint(image, mask), atol=1e-4)


def test_errors_at_the_rim_are_taken_off() -> None:
    """A network that is right but for a constant is right."""

    class Off(Smooth):
        def complete(self, images: Tensor, hole: Tensor) -> Tensor:
            return images * 0 + 0.7

    filled = Off(config(), whole=False, overlap=3).inpaint(
        torch.full((1, 1, 48, 48), -0.2), HOLES["a corner"][..., :48, :48]
    )
    assert filled.allclose(torch.tensor(-0.2), atol=1e-4)


def test_a_colour_picture_keeps_its_colours_in_a_grey_network_and_the_reverse() -> None:
    red = torch.tensor([0.8, -0.6, -0.6])[None, :, None, None].expand(1, 3, 50, 70)
    assert Smooth(config(channels=1)).inpaint(red, HOLES["the middle"]).allclose(red, atol=1e-3)
    grey = torch.full((1, 1, 50, 70), 0.3)
    assert Smooth(config(channels=3)).inpaint(grey, HOLES["the middle"]).allclose(grey, atol=1e-3)


def test_a_batch_is_filled_one_by_one() -> None:
    smooth, images = Smooth(config()), torch.cat([gradient(50, 70), -gradient(50, 70)])
    both = smooth.inpaint(images, HOLES["across"])
    assert both[1:].equal(smooth.inpaint(images[1:], HOLES["across"]))


def test_the_film_is_harmonic_between_what_is_known() -> None:
    """On a line, the mean of one's neighbours is a straight line."""
    value = torch.linspace(-1, 1, 32).expand(1, 1, 32, 32).clone()
    known = torch.zeros(1, 1, 32, 32)
    known[..., :4] = known[..., -4:] = 1
    assert inpaint.membrane(value, known).allclose(value, atol=0.05)
    assert inpaint.membrane(value, torch.zeros_like(known)).equal(torch.zeros_like(value))
    assert inpaint.membrane(value, torch.ones_like(known)).equal(value)


# --- inputs that do not fit ---------------------------------------------------------------------------------------------


def test_masks_that_do_not_fit_are_refused() -> None:
    filler, image = model(), torch.zeros(1, 1, 50, 70)
    with pytest.raises(UserError, match="mask is 70 x 51 px, but the picture 70 x 50 px"):
        filler.inpaint(image, torch.ones(1, 1, 51, 70))
    with pytest.raises(UserError, match="the mask has no hole"):
        filler.inpaint(image, torch.zeros(1, 1, 50, 70))
    with pytest.raises(UserError, match="all hole"):
        filler.inpaint(image, torch.ones(1, 1, 50, 70))


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="--overlap must be at least 0"):
        config(overlap=-1)
    with pytest.raises(UserError, match="leaves no hole"):
        model(overlap=8)
    with pytest.raises(UserError, match="--adversarial-weight"):
        config(adversarial_weight=-0.1)


def test_mask_files(tmp_path: Path) -> None:
    wanted, medium = HOLES["across"], Masks()
    path = medium.save(wanted, tmp_path / "mask.png")
    assert set(load_image(path).unique().tolist()) == {-1.0, 1.0}
    assert medium.load(path).equal(wanted)
    clear = torch.cat([torch.ones(1, 3, 50, 70), 1 - 2 * wanted], 1)
    assert medium.load(save_image(clear, tmp_path / "clear.png")).equal(wanted)
    opaque = torch.cat([(2 * wanted - 1).expand(-1, 3, -1, -1), torch.ones(1, 1, 50, 70)], 1)
    assert medium.load(save_image(opaque, tmp_path / "opaque.png")).equal(wanted)
    level = torch.tensor([127, 128]).view(1, 1, 1, 2) / 127.5 - 1
    assert medium.load(save_image(level, tmp_path / "grey.png")).flatten().tolist() == [0, 1]
    empty = save_image(-torch.ones(1, 3, 5, 5), tmp_path / "empty.png")
    with pytest.raises(UserError, match=r"empty\.png: the mask has no hole"):
        medium.load(empty)


def test_the_command_fills_a_file_and_keeps_the_rest(tmp_path: Path) -> None:
    weights = model(holes="free").save(tmp_path / "model.safetensors")
    image = save_image(torch.rand(3, 50, 70) * 2 - 1, tmp_path / "image.png")
    mask = Masks().save(HOLES["the middle"], tmp_path / "mask.png")
    out = tmp_path / "filled.png"
    assert cli.run(["apply", str(weights), "inpaint", str(image), str(mask), "--out", str(out), "--device", "cpu"]) == 0
    outside = (HOLES["the middle"] == 0).expand(1, 3, -1, -1)
    assert load_image(out)[outside].equal(load_image(image)[outside])


@pytest.mark.parametrize("holes", ["blocks", "free"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_networks_of_other_holes_train(holes: str, precision: str, tmp_path: Path) -> None:
    result = api.start(
        "context_encoder", config(holes=holes).replace(precision=precision), tmp_path / "run", show=False
    )
    filled = result.model.inpaint(gradient(50, 70), HOLES["across"])
    assert torch.isfinite(filled).all()


@pytest.mark.parametrize("size", [16, 20, 28, 64, 128, 256])
def test_networks_of_every_size(size: int) -> None:
    for whole, side in ((False, size // 2), (True, size)):
        network = context_encoder.context.Filler(1, (1, size, size), 2, 4, whole).eval()
        made = network(torch.zeros(2, 1, size, size))
        assert made.shape == (2, 1, side, side)
        assert context_encoder.context.Discriminator((1, side, side), 2).eval()(made).shape == (2,)


@pytest.mark.slow
def test_digits_are_filled_better_than_by_a_film(tmp_path: Path) -> None:
    """A short run beats what is smooth, on digits that it has not seen."""
    settings = config(overlap=2, overlap_weight=1.0).replace(
        width=16, bottleneck=128, discriminator_width=8, batch=64, steps=600, held_out=0.1
    )
    trained: Any = api.start("context_encoder", settings, tmp_path / "run", show=False).model
    dataset = settings.data.open()
    kept = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))[: round(len(dataset) * 0.1)][:100]
    images = dataset.prepare(dataset.batch(kept, torch.Generator()))[0]
    hole = masks.centre(1, SIZE, HERE, inset=2)
    errors = [
        (made - images)[hole.expand_as(images) > 0].square().mean()
        for made in (trained.inpaint(images, hole), inpaint.membrane(images, 1 - hole.expand_as(images)))
    ]
    assert errors[0] < errors[1] / 2
