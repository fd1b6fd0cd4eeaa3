"""Large pictures in pieces, picture files with all that is in them, and verbs on folders and films."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from sparring import api, cli
from sparring.core.errors import UserError
from sparring.core.media import in_channels, load_image, save_image
from sparring.core.pictures import is_deep
from sparring.core.tiles import filled, starts, tiled


def local(scale: int) -> nn.Module:
    """Looks 4 pixels far."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, 3, 3, padding=1) for _ in range(4)]
    return nn.Sequential(*layers, *([nn.Upsample(scale_factor=scale)] if scale > 1 else []))


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("extent", [(64, 64), (64, 300), (300, 64), (150, 211), (20, 30), (65, 66)])
def test_tiles_give_what_the_whole_gives(scale: int, extent: tuple[int, int]) -> None:
    network, image = local(scale), torch.rand(1, 3, *extent)
    with torch.no_grad():
        assert torch.allclose(network(image), tiled(network, image, 64, 8, scale), atol=1e-6)


def test_seams_are_faded_where_a_network_looks_further() -> None:
    """A network that adds the mean of what it sees: neighbours differ by a step, which is spread over the overlap."""

    def biased(image: Tensor) -> Tensor:
        return image + image.mean()

    ramp = torch.linspace(0, 1, 256).expand(1, 1, 64, 256)
    found = tiled(biased, ramp, 64, 8)
    assert (found[..., 1:] - found[..., :-1]).abs().max() < 0.03


def test_sides_are_filled_up_with_the_mirror_image() -> None:
    image = torch.arange(6.0).view(1, 1, 1, 6).expand(1, 1, 6, 6)
    found = filled(image, 16)
    assert found.shape[2:] == (16, 16)
    assert found[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5]
    assert filled(torch.ones(1, 1, 1, 3), 4).shape[2:] == (4, 4)


def test_tiles_end_where_the_picture_ends() -> None:
    assert starts(64, 64, 8) == [0]
    assert starts(100, 64, 8) == [0, 36]
    assert starts(200, 64, 8)[-1] == 136


# --- files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_survive(tmp_path: Path, suffix: str, channels: int) -> None:
    image = torch.rand(1, channels, 12, 21) * 2 - 1
    path = save_image(image, tmp_path / f"deep{suffix}", deep=True)
    assert is_deep(path)
    assert (load_image(path) - image).abs().max() < 2e-5
    shallow = save_image(image, tmp_path / f"plain{suffix}")
    assert not is_deep(shallow)
    assert 1e-3 < (load_image(shallow) - image).abs().max() < 4.1e-3


def test_a_turned_photo_is_upright(tmp_path: Path) -> None:
    picture = np.zeros((10, 20, 3), np.uint8)
    picture[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture).save(tmp_path / "turned.png", exif=exif)
    found = load_image(tmp_path / "turned.png")
    assert found.shape == (1, 3, 20, 10)
    assert found[0, 0, 0, 9] == 1


def test_what_is_transparent_becomes_white_where_a_network_takes_colours(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (200, 0, 0, 0)).save(tmp_path / "clear.png")
    image = load_image(tmp_path / "clear.png")
    assert image.shape[1] == 4
    assert (in_channels(image, 3) == 1).all()
    assert in_channels(image, 1).shape[1] == 1


# --- verbs on files -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "pix2pix"
    config = api.starting_point("pix2pix", "tiny")
    api.start("pix2pix", config.replace(steps=1, device="cpu"), folder, show=False)
    return folder


def pictures(folder: Path, count: int = 3) -> Path:
    folder.mkdir()
    for number in range(count):
        save_image(torch.rand(3, 40, 50) * 2 - 1, folder / f"{number}.jpg")
    return folder


def test_a_folder_of_pictures(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = pictures(tmp_path / "photos")
    assert cli.run(["apply", str(run), "translate", str(source), "--out", str(tmp_path / "made")]) == 0
    made = sorted((tmp_path / "made").iterdir())
    assert [path.name for path in made] == ["0.png", "1.png", "2.png"]
    assert all(Image.open(path).size == (50, 40) for path in made)
    assert all(str(path) in capsys.readouterr().out for path in made[:1])


def test_a_bad_picture_is_named_and_the_rest_is_done(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = pictures(tmp_path / "photos")
    (source / "1.jpg").write_bytes(b"no picture")
    assert cli.run(["apply", str(run), "translate", str(source), "--out", str(tmp_path / "made")]) == 2
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["0.png", "2.png"]
    said = capsys.readouterr().err
    assert "1.jpg: not a readable picture" in said and "1 of 3 files were left out" in said


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.mkdir(), "there is nothing of the kind .png"),
        (lambda path: save_image(torch.zeros(3, 8, 40), path.with_suffix(".png")).rename(path), "at least 16"),
        (lambda path: path.write_bytes(b"\0" * 99), "not a readable picture"),
    ],
)
def test_bad_input_is_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], make: object, says: str
) -> None:
    make(tmp_path / "given")  # type: ignore[operator]
    assert cli.run(["apply", str(run), "translate", str(tmp_path / "given")]) == 2
    said = capsys.readouterr().err
    assert says in said and "given" in said and len(said.splitlines()) == 1


def film(path: Path, frames: int, sound: bool) -> Path:
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as written:
        stream = written.add_stream("libx264", rate=Fraction(25, 2))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        voice = written.add_stream("aac", rate=16000) if sound else None
        for number in range(frames):
            pixels = np.full((48, 64, 3), 20 * number, np.uint8)
            written.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        written.mux(stream.encode())
        if voice is not None:
            tone = (0.1 * np.sin(np.arange(16000) / 10)).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            frame.sample_rate = 16000
            written.mux(voice.encode(frame))
            written.mux(voice.encode())
    return path


def test_a_film_keeps_its_frames_rate_and_sound(run: Path, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    source = film(tmp_path / "film.mp4", 11, sound=True)
    out = tmp_path / "made.mp4"
    assert cli.run(["apply", str(run), "translate", str(source), "--out", str(out)]) == 0
    with av.open(str(source)) as before, av.open(str(out)) as after:
        assert sum(1 for _ in after.decode(video=0)) == 11
        assert after.streams.video[0].average_rate == Fraction(25, 2)
    with av.open(str(source)) as before, av.open(str(out)) as after:
        sounds = [
            [bytes(packet) for packet in each.demux(audio=0) if packet.dts is not None] for each in (before, after)
        ]
    assert sounds[0] and sounds[0] == sounds[1]


def test_a_film_of_a_kind_that_is_not_written_becomes_mkv(run: Path, tmp_path: Path) -> None:
    source = film(tmp_path / "film.mkv", 3, sound=True).rename(tmp_path / "film.webm")
    assert cli.run(["apply", str(run), "translate", str(source)]) == 0
    assert (tmp_path / "film-translate.mkv").stat().st_size > 1000


def test_a_film_becomes_a_gif(run: Path, tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", 5, sound=False)
    assert cli.run(["apply", str(run), "translate", str(source), "--out", str(tmp_path / "made.gif")]) == 0
    with Image.open(tmp_path / "made.gif") as made:
        assert made.n_frames == 5 and made.size == (64, 48)


def test_a_film_without_frames(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "film.mp4").write_bytes(b"\0" * 500)
    assert cli.run(["apply", str(run), "translate", str(tmp_path / "film.mp4")]) == 2
    assert "not a readable film" in capsys.readouterr().err
    with pytest.raises(UserError, match="a film is written as"):
        from sparring.core.video import rework

        rework(film(tmp_path / "b.mp4", 1, False), tmp_path / "out.xyz", lambda frames: frames, lambda _: None)


def test_a_playlist_in_disguise_opens_nothing(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film(tmp_path / "real.mp4", 3, False)
    (tmp_path / "film.mp4").write_text(f"ffconcat version 1.0\nfile {tmp_path}/real.mp4\n")
    assert cli.run(["apply", str(run), "translate", str(tmp_path / "film.mp4")]) == 2
    assert "not a readable film" in capsys.readouterr().err


def test_a_picture_that_would_run_a_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "drawing.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    with pytest.raises(UserError, match="not a readable picture"):
        load_image(tmp_path / "drawing.png")


def test_sixteen_bits_in_sixteen_bits_out(run: Path, tmp_path: Path) -> None:
    given = save_image(torch.rand(1, 3, 40, 50) * 2 - 1, tmp_path / "deep.png", deep=True)
    assert cli.run(["apply", str(run), "translate", str(given), "--out", str(tmp_path / "made.png")]) == 0
    assert is_deep(tmp_path / "made.png")
