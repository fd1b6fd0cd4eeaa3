"""pix2pix and CycleGAN: what their networks see, what their pools give out, and what their losses hold them to."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sparring import api, catalogue
from sparring.core.errors import UserError
from sparring.data.paired import Pairs
from sparring.data.unpaired import Domains
from sparring.losses import adversarial
from sparring.networks.instance import InstanceNorm, held
from sparring.networks.patches import FIELDS, Patches
from sparring.networks.pool import Pool
from sparring.networks.tone import Tone, lightness
from sparring.networks.translator import Translator
from sparring.networks.unet import UNet


def built(method: str, **changes: Any) -> Any:
    config = api.starting_point(method, "tiny").replace(precision="float32", **changes)
    module = catalogue.find(method).load()
    torch.manual_seed(0)
    resolved = config.replace(data=config.data.resolved())
    return module.Game(module.Model(resolved), resolved)


# --- networks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", FIELDS)
def test_a_logit_sees_its_patch_and_no_more(field: int) -> None:
    """By the slope of one logit by the picture, without the normalisation, which lets every pixel have a say."""
    torch.manual_seed(0)
    side = max(32, 2 * field)
    network = Patches(1, field, 2, True, side)
    network.norms = nn.ModuleList(nn.Identity() for _ in network.norms)
    # Positive weights: no slopes cancel.
    for weight in network.parameters():
        weight.data.abs_()
    image = torch.ones(1, 1, side, side, requires_grad=True)
    logits = network(image)
    middle = logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2]
    (slope,) = torch.autograd.grad(middle, image)
    rows = slope[0, 0].abs().amax(1).nonzero().flatten()
    assert rows[-1] - rows[0] + 1 == field


@pytest.mark.parametrize("size", [32, 64, 128])
def test_a_unet_halves_down_to_one_place_and_keeps_the_size(size: int) -> None:
    network = UNet(2, 5, size, width=2).eval()
    assert len(network.halvings) == size.bit_length() - 1
    assert network(torch.rand(1, 2, size, size)).shape == (1, 5, size, size)
    assert network(torch.rand(1, 2, size, 2 * size)).shape == (1, 5, size, 2 * size)


def test_skips_carry_what_the_bottleneck_cannot() -> None:
    """Without its coarsest maps a U-Net still shows where things are."""
    torch.manual_seed(0)
    network = UNet(1, 1, 32, width=4).eval()
    network.doublings[0].weight.data.zero_()
    one, other = torch.rand(2, 1, 1, 32, 32)
    assert (network(one) - network(other)).abs().mean() > 0.01


@pytest.mark.parametrize("size", [0, 48, 2048])
def test_sizes_that_do_not_halve_to_one_are_named(size: int) -> None:
    with pytest.raises(UserError, match=f"--data.size is 32, 64.*{size} is not"):
        UNet(1, 1, size)


def test_noise_is_dropout_that_stays_on() -> None:
    torch.manual_seed(0)
    network = UNet(1, 1, 64, width=4).eval()
    image = torch.rand(1, 1, 64, 64)
    assert torch.equal(network(image), network(image))
    assert not torch.equal(network(image, noisy=True), network(image, noisy=True))


def test_instance_norm_is_torchs() -> None:
    value = torch.randn(3, 4, 5, 6)
    ours, theirs = InstanceNorm(4, affine=True), nn.InstanceNorm2d(4, affine=True)
    with torch.no_grad():
        for one, other in zip(ours.parameters(), theirs.parameters()):
            one.copy_(torch.randn(4))
            other.copy_(one)
    assert torch.allclose(ours(value), theirs(value), atol=1e-6)


def test_held_statistics_make_parts_what_they_are_in_the_whole() -> None:
    torch.manual_seed(0)
    network = Translator(3, 3, width=4, blocks=1).eval()
    image = torch.rand(1, 3, 128, 128) * 2 - 1
    with torch.no_grad():
        whole = network(image)
        alone = network(image[:, :, :64, :64])
        with held(network, image):
            part = network(image[:, :, :64, :64])
    reach = network.reach
    inner = slice(0, 64 - reach)
    assert torch.allclose(part[..., inner, inner], whole[..., inner, inner], atol=1e-5)
    assert not torch.allclose(alone[..., inner, inner], whole[..., inner, inner], atol=1e-2)
    assert torch.equal(network(image), whole)


def test_a_translator_looks_no_further_than_it_says() -> None:
    torch.manual_seed(0)
    network = Translator(1, 1, width=2, blocks=2)
    image = torch.rand(1, 1, 128, 128, requires_grad=True)
    with held(network, image.detach()):
        (slope,) = torch.autograd.grad(network(image)[0, 0, 64, 64], image)
    rows = slope[0, 0].abs().amax(1).nonzero().flatten()
    assert max(rows[-1] - 64, 64 - rows[0]) <= network.reach


# --- pool -----------------------------------------------------------------------------------------------------------------


def test_a_pool_gives_what_it_gets_until_it_is_full() -> None:
    pool = Pool(6, (1, 1, 1))
    for start in (0, 3):
        given = torch.arange(start, start + 3.0).view(3, 1, 1, 1)
        assert torch.equal(pool.exchange(given), given)
    assert pool.held.flatten().tolist() == [0, 1, 2, 3, 4, 5]


def test_then_half_of_what_it_gives_is_old_and_nothing_is_lost() -> None:
    torch.manual_seed(0)
    pool = Pool(50, (1, 1, 1))
    seen, numbers = [], torch.arange(4000.0).view(-1, 4, 1, 1, 1)
    for given in numbers:
        before = {*pool.held.flatten().tolist()} if pool.count == 50 else None
        out = pool.exchange(given)
        if before is not None:
            after = {*pool.held.flatten().tolist()}
            assert before | {*given.flatten().tolist()} == after | {*out.flatten().tolist()}
            assert len(after) == 50
            seen.append((out != given).float().mean())
    assert 0.45 < torch.stack(seen).mean() < 0.55


def test_no_pool_at_all() -> None:
    given = torch.rand(2, 1, 1, 1)
    assert torch.equal(Pool(0, (1, 1, 1)).exchange(given), given)


def test_tone_is_carried_from_one_kind_to_the_other_place_by_place() -> None:
    """Where the second kind is the first, at half its contrast and lighter, that is expected; on its ground, nothing else."""
    torch.manual_seed(0)
    tone = Tone()
    for _ in range(3):
        first = torch.randn(64, 3, 16, 16)
        second = first / 2 + 0.3
        second[..., :8] = 1
        tone.see(first, second)
    given = torch.randn(2, 3, 16, 16)
    expected = tone.expected(given, 0)
    torch.testing.assert_close(expected[..., 2:], lightness(given)[..., 2:] / 2 + 0.3)
    torch.testing.assert_close(expected[..., :2], torch.ones(2, 4, 2), atol=2e-3, rtol=0)
    assert tone.strayed(given, given, 0) > 0.1


def test_lightness_is_the_mean_luma_of_each_cell() -> None:
    red = torch.zeros(1, 3, 32, 16)
    red[:, 0, :8, 4:8] = 1
    assert lightness(red)[0, 0, 1].item() == pytest.approx(0.299)
    assert lightness(red).count_nonzero() == 1
    assert lightness(torch.full((1, 1, 16, 16), 0.5)).unique().item() == 0.5


# --- games ----------------------------------------------------------------------------------------------------------------


def test_least_squares_by_hand() -> None:
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.5, -0.5])
    assert adversarial.least_squares(real, fake) == pytest.approx((2 + 0.25) / 2)
    assert adversarial.least_squares_generator(fake) == pytest.approx((0.25 + 2.25) / 2)


def test_pix2pix_without_rivalry_leaves_its_discriminator_alone() -> None:
    game = built("pix2pix", rivalry=0.0)
    before = [weight.clone() for weight in game.discriminator.parameters()]
    data = game.config.data.open()
    batch = data.prepare(data.batch(torch.arange(4), torch.Generator()))
    values = game.step(iter([batch]))
    assert set(values) == {"L1"}
    assert all(torch.equal(old, new) for old, new in zip(before, game.discriminator.parameters()))


def test_pix2pix_loss_is_equation_4() -> None:
    from sparring.core import Notes

    game = built("pix2pix", likeness=7.0, rivalry=2.0)
    given, target, made = torch.rand(3, 2, 1, 32, 32)
    loss = game.miss(given, target, made, Notes())
    fooled = -game.discriminator(torch.cat([given, made], 1)).sigmoid().log().mean()
    assert loss.item() == pytest.approx((7 * (made - target).abs().mean() + 2 * fooled).item(), rel=1e-5)


@pytest.mark.parametrize(("identity", "tone"), [(0.0, 0.0), (0.5, 0.0), (0.5, 3.0)])
def test_cyclegan_loss_is_the_sum_of_its_parts(identity: float, tone: float) -> None:
    from sparring.core import Notes

    game = built("cyclegan", identity=identity, tone=tone)
    first, second = torch.rand(2, 2, 3, 16, 16)
    if tone:
        game.tone.see(first, second)
    forged: list[Any] = []
    loss = game.translate(first, second, forged, Notes())
    there, home = game.model.there, game.model.home
    fooled = (game.second_discriminator(there(first)) - 1).square().mean()
    fooled += (game.first_discriminator(home(second)) - 1).square().mean()
    cycle = (home(there(first)) - first).abs().mean() + (there(home(second)) - second).abs().mean()
    same = (there(second) - second).abs().mean() + (home(first) - first).abs().mean()
    loss_by_hand = fooled + 10 * cycle + 10 * identity * same
    if tone:
        strayed = [(lightness(there(first)) - game.tone.expected(first, 0)).abs().mean()]
        strayed += [(lightness(home(second)) - game.tone.expected(second, 1)).abs().mean()]
        loss_by_hand += tone * sum(strayed)
    assert loss.item() == pytest.approx(loss_by_hand.item(), rel=1e-4)
    assert torch.allclose(forged[0][0], there(first), atol=1e-5) and not forged[0][0].requires_grad


@pytest.mark.parametrize(
    ("method", "changes", "says"),
    [
        ("pix2pix", {"field": 71}, "--field is 71; it is 1, 16, 34"),
        ("pix2pix", {"field": 286}, "too small for patches of 286 px; use --field"),
        ("pix2pix", {"data": Pairs(size=48)}, "--data.size is 32, 64"),
        ("cyclegan", {"two_way": False}, "a cycle needs both ways"),
    ],
)
def test_what_cannot_be_played_is_said_before_it_begins(method: str, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        built(method, **changes)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: api.starting_point("pix2pix").replace(likeness=0.0, rivalry=0.0), "not both 0"),
        (lambda: api.starting_point("pix2pix").replace(dropout=1.0), "--dropout is 1.0"),
        (lambda: api.starting_point("cyclegan").replace(cycle=-1.0), "--cycle"),
        (lambda: api.starting_point("cyclegan").replace(data=Domains(size=30)), "multiple of 4 from 16 on: 28|32, say"),
        (lambda: Pairs(jitter=2.0), "data.jitter"),
        (lambda: Domains(channels=2), "data.channels is 2"),
    ],
)
def test_configs_that_make_no_sense(make: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        make()


# --- verbs ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 40, 61), (1, 64, 33), (4, 90, 20)])
@pytest.mark.parametrize("method", ["pix2pix", "cyclegan"])
def test_pictures_of_any_size_and_channels_come_back_as_large(method: str, shape: tuple[int, ...]) -> None:
    model = built(method).model.eval()
    made = model.translate(torch.rand(1, *shape) * 2 - 1)
    assert made.shape == (1, model.channels[1], *shape[1:])
    assert made.abs().max() <= 1
    smaller = model.translate(torch.rand(1, *shape) * 2 - 1, size=16)
    assert smaller.shape == made.shape


def test_a_large_picture_has_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces with held statistics, a picture is what it is in one piece with the same statistics, within half a step of 8
    bits."""
    from sparring.tasks import translate

    model = built("cyclegan").model.eval()
    image = torch.rand(1, 3, 40, 40) * 2 - 1
    image = torch.nn.functional.interpolate(image, (600, 600), mode="bicubic").clamp(-1, 1)
    monkeypatch.setattr(translate, "TILE", 256)
    pieces = model.translate(image)
    small = translate.scaled(image, 256 / 600)
    with torch.no_grad(), held(model.there, small):
        whole = model.there(image)
    assert (pieces - whole).abs().max() < 1 / 255
