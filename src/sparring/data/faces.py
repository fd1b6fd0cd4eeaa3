"""Faces in photos: found, and cut out as squares in which they all lie alike.

What looks for them is scikit-image's cascade of local binary patterns for frontal faces, which comes with the extra `faces`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from sparring.core.errors import UserError
from sparring.data.listing import is_picture
from sparring.data.pictures import opened, upright
from sparring.data.tables import open_file

LONGEST = 640
"""side to which a photo is reduced while it is searched"""
SMALLEST = 24
"""side in pixels of the smallest face that is found, in the reduced photo"""
MARGIN = 1.3
"""side of what is cut out over that of the face's box"""


class Face(NamedTuple):
    """A square in a photo, in pixels."""

    left: float
    top: float
    side: float


def find(photo: Image.Image) -> list[Face]:
    """The frontal faces in a photo, the largest first.

    Args:
        photo: upright, of mode "L" or "RGB".

    Raises:
        UserError: scikit-image is not installed.
    """
    try:
        from skimage.data import lbp_frontal_face_cascade_filename
        from skimage.feature import Cascade
    except ImportError:
        raise UserError("finding faces needs scikit-image: pip install 'sparring[faces]'") from None
    scale = min(1.0, LONGEST / max(photo.size))
    small = photo.convert("RGB").resize([max(1, round(side * scale)) for side in photo.size])
    least, most = SMALLEST, min(small.size)
    if most < least:
        return []
    boxes = Cascade(lbp_frontal_face_cascade_filename()).detect_multi_scale(
        np.asarray(small),
        scale_factor=1.15,
        step_ratio=1,
        min_size=(least, least),
        max_size=(most, most),
        min_neighbor_number=3,
    )
    found = [Face(box["c"] / scale, box["r"] / scale, (box["width"] + box["height"]) / 2 / scale) for box in boxes]
    return sorted(found, key=lambda face: -face.side)


def cut(photo: Image.Image, face: Face, size: int) -> Image.Image:
    """The square around a face, upright, of this side; beyond the photo's edge, its outermost pixels.

    Args:
        photo: as `find` was given it.
        face: one that it found.
        size: side in pixels of the result.
    """
    side = face.side * MARGIN
    left, top = face.left + (face.side - side) / 2, face.top + (face.side - side) / 2
    spill = math.ceil(max(0, -left, -top, left + side - photo.width, top + side - photo.height))
    if spill:
        edges = ((spill, spill),) * 2 + ((0, 0),) * (np.asarray(photo).ndim - 2)
        photo = Image.fromarray(np.pad(np.asarray(photo), edges, mode="edge"))
    box = (left + spill, top + spill, left + spill + side, top + spill + side)
    return photo.resize((size, size), Image.Resampling.LANCZOS, box=box)


def cut_all(source: Path, out: Path, size: int) -> tuple[int, list[str]]:
    """Cut the largest face out of a photo, or out of every photo of a folder, into PNG files of the same names.

    Args:
        source: a picture, or a folder of them.
        out: a file for a picture (.png), a folder for a folder.
        size: side in pixels.

    Returns:
        how many faces were cut, and what was left out and why.

    Raises:
        UserError: the source is not there or holds no pictures, or no face was found in any.
    """
    if not source.exists():
        raise UserError(f"{source}: no such file or folder")
    many = source.is_dir()
    files = sorted(path for path in source.iterdir() if is_picture(path.name)) if many else [source]
    if not files:
        raise UserError(f"{source}: there are no pictures in it")
    left_out = []
    for file in files:
        target = out / f"{file.stem}.png" if many else out
        try:
            with open_file(file) as stream, opened(stream) as image:
                photo = upright(image)
        except (OSError, ValueError, SyntaxError) as error:
            left_out.append(f"{file}: not a readable picture ({error})")
            continue
        faces = find(photo)
        if not faces:
            left_out.append(f"{file}: no face found")
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        cut(photo, faces[0], size).save(target)
    if len(left_out) == len(files):
        raise UserError(
            left_out[0] if len(files) == 1 else f"{source}: no face was found in any of {len(files):,} pictures"
        )
    return len(files) - len(left_out), left_out
