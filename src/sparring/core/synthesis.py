"""A score as sound: by FluidSynth and a sound font where they are installed, else by a small synthesiser of sines and noise."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import wave
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sparring.core.errors import UserError
from sparring.core.score import Score

RATE = 44_100
"""samples a second"""
OPUS_RATE = 48_000
"""what Opus, the codec of .ogg files, takes"""
LONGEST = 3600
"""seconds of sound that are made at most"""
FONTS = (
    "/usr/share/sounds/sf2",
    "/usr/share/soundfonts",
    "/usr/local/share/soundfonts",
    "/opt/homebrew/share/soundfonts",
)


class Voice(NamedTuple):
    """How an instrument sounds."""

    partials: tuple[float, ...]
    """strength of each multiple of the pitch"""
    attack: float
    """seconds to full strength"""
    decay: float
    """seconds in which it falls to a third while it sounds; 0: it holds"""
    release: float
    """seconds to silence after its end"""


STRUCK = Voice((1, 0.5, 0.3, 0.15, 0.08), 0.004, 0.7, 0.08)
PLUCKED = Voice((1, 0.6, 0.4, 0.3, 0.15, 0.1), 0.003, 0.4, 0.05)
BLOWN = Voice((1, 0.35, 0.25, 0.1), 0.04, 0, 0.06)
BOWED = Voice((1, 0.6, 0.5, 0.35, 0.25, 0.15, 0.1), 0.06, 0, 0.1)
HELD = Voice((1, 0.5, 0.05, 0.25, 0.0, 0.1), 0.01, 0, 0.03)
FAMILIES = (
    STRUCK,
    STRUCK,
    HELD,
    PLUCKED,
    PLUCKED,
    BOWED,
    BOWED,
    BLOWN,
    BLOWN,
    BLOWN,
    HELD,
    BOWED,
    HELD,
    PLUCKED,
    STRUCK,
    HELD,
)
"""General MIDI's sixteen families of eight instruments each"""


def sound(score: Score, rate: int = RATE) -> np.ndarray:
    """The built-in synthesiser's sound: float32, 2 x samples in [-1, 1].

    Raises:
        UserError: the score lasts longer than an hour.
    """
    notes = score.notes
    begins, ends = (score.seconds(ticks) for ticks in (notes["start"], notes["start"] + notes["length"]))
    total = float(ends.max(initial=0)) + 1
    if total > LONGEST:
        raise UserError(f"the music lasts {total / 60:.0f} minutes; sound is made of at most {LONGEST // 60}")
    made = np.zeros((2, round(total * rate)), np.float32)
    noise = np.random.default_rng(0).standard_normal(rate).astype(np.float32)
    known: dict[tuple[int, int, int], np.ndarray] = {}
    for note, begin, end in zip(notes.tolist(), begins.tolist(), ends.tolist()):
        _, _, pitch, velocity, number = note
        track = score.tracks[number]
        first, count = round(begin * rate), round((end - begin) * rate)
        key = (number, pitch, count)
        if key not in known:
            known[key] = _drum(pitch, noise, rate) if track.drums else _tone(pitch, count, track.program, rate)
        tone = known[key][: made.shape[1] - first] * (velocity / 127)
        right = 0.5 + 0.3 * ((number % 4) - 1.5) / 1.5 if len(score.tracks) > 1 else 0.5
        made[0, first : first + len(tone)] += tone * np.float32(np.sqrt(1 - right))
        made[1, first : first + len(tone)] += tone * np.float32(np.sqrt(right))
    return made * np.float32(0.9 / max(float(np.abs(made).max(initial=0)), 1e-9))


def _tone(pitch: int, count: int, program: int, rate: int) -> np.ndarray:
    voice = FAMILIES[program // 8]
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    time = np.arange(count + round(voice.release * rate), dtype=np.float32) / rate
    tone = np.zeros(len(time), np.float32)
    for multiple, strength in enumerate(voice.partials, 1):
        if strength and multiple * frequency < rate / 2.2:
            tone += np.float32(strength) * np.sin(np.float32(2 * np.pi * frequency * multiple) * time)
    shape = np.minimum(1, time / voice.attack)
    if voice.decay:
        shape *= np.exp(-time / voice.decay)
    shape *= np.clip((len(time) - np.arange(len(time))) / (voice.release * rate), 0, 1)
    return tone * shape.astype(np.float32) / sum(voice.partials)


def _drum(pitch: int, noise: np.ndarray, rate: int) -> np.ndarray:
    """General MIDI's percussion: low pitches are drums, 38 and 40 snares, those from 42 on are metal."""
    time = np.arange(rate // 2, dtype=np.float32) / rate
    if pitch < 38:
        return np.sin(2 * np.pi * (50 * time + 12 * (1 - np.exp(-time * 30)) / 3)) * np.exp(-time * 12)
    if pitch < 42:
        return (0.6 * noise[: len(time)] + 0.4 * np.sin(2 * np.pi * 190 * time)) * np.exp(-time * 18) * 0.6
    metal = np.diff(noise[: len(time) + 1])
    return metal * np.exp(-time * (40 if pitch in {42, 44} else 8)) * 0.3


def sound_font() -> Path | None:
    """The sound font that FluidSynth plays: $SPARRING_SOUNDFONT, or the first in the usual places."""
    if own := os.environ.get("SPARRING_SOUNDFONT"):
        return Path(own)
    found = (font for folder in FONTS for font in sorted(Path(folder).glob("*.sf[23]")))
    return next(found, None)


def write_sound(score: Score, path: Path) -> None:
    """Write the sound as .wav, or as .ogg where PyAV is installed.

    Raises:
        UserError: it is too long; or the file is .ogg and PyAV is missing.
    """
    if path.suffix.lower() == ".ogg":
        _write_ogg(_played(score), path)
        return
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(_played(score).T.tobytes())


def _played(score: Score) -> np.ndarray:
    """int16, 2 x samples."""
    program, font = shutil.which("fluidsynth"), sound_font()
    if program and font is not None:
        from sparring.core.midi import write_midi

        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "score.mid", Path(folder) / "score.wav"
            write_midi(score, source)
            command = [program, "-ni", "-q", "-g", "0.8", "-r", str(RATE), "-F", str(target), str(font), str(source)]
            ran = subprocess.run(command, capture_output=True, check=False, timeout=600)
            if ran.returncode == 0 and target.exists():
                with wave.open(str(target), "rb") as file:
                    frames = np.frombuffer(file.readframes(file.getnframes()), np.int16)
                    return np.ascontiguousarray(frames.reshape(-1, file.getnchannels())[:, [0, -1]].T)
    return (sound(score) * 32767).astype(np.int16)


def _write_ogg(samples: np.ndarray, path: Path) -> None:
    try:
        import av
    except ImportError:
        raise UserError(
            f"{path}: .ogg needs the extra `video`: pip install 'sparring[video]'; .wav needs nothing"
        ) from None
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=OPUS_RATE, layout="stereo", bit_rate=128_000)
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=OPUS_RATE)
        for start in range(0, samples.shape[1], 2**16):
            piece = np.ascontiguousarray(samples[:, start : start + 2**16].T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="stereo")
            frame.sample_rate, frame.pts = RATE, start
            for part in resampler.resample(frame):
                container.mux(stream.encode(part))
        for part in resampler.resample(None):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
