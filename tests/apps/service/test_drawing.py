"""Pictures of maps, pixel by pixel."""

import io

import numpy as np
from PIL import Image

from apps.service import drawing
from apps.service.drawing import Style
from apps.service.inputs import Sample

GREY = np.full((2, 2, 3), 100, np.uint8)
MAP = np.float32([[1, -1], [0.5, 0]])[..., None]


def test_evidence_for_is_orange_and_against_blue():
    drawn = drawing.overlay(Sample(MAP, GREY), MAP, Style(opacity=1, clip=100))
    assert drawn.tolist() == [
        [[0xD5, 0x5E, 0x00], [0x00, 0x72, 0xB2]],
        [[156, 97, 50], [100, 100, 100]],  # half of (213, 94, 0) and half of 100, rounded to even
    ]
    half = drawing.overlay(Sample(MAP, GREY), MAP, Style(opacity=0.5, clip=100))
    assert half[0, 0].tolist() == [156, 97, 50]
    alone = drawing.alone(Sample(MAP, GREY), MAP, Style(clip=100))
    assert alone[0, 0].tolist() == [0xD5, 0x5E, 0x00] and alone[1, 1].tolist() == [255, 255, 255]


def test_signs_and_clip():
    sample = Sample(MAP, GREY)
    assert drawing.strengths(sample, MAP, Style(sign="positive", clip=100)).tolist() == [[1, 0], [0.5, 0]]
    assert drawing.strengths(sample, MAP, Style(sign="negative", clip=100)).tolist() == [[0, -1], [0, 0]]
    ten = np.arange(1, 11, dtype=np.float32).reshape(2, 5, 1)
    clipped = drawing.strengths(Sample(ten, np.zeros((2, 5, 3), np.uint8)), ten, Style(clip=50))
    assert clipped[0, 0] == 1 / 5.5 and (clipped.ravel()[5:] == 1).all()  # the median is 5.5


def test_a_map_of_zeros_changes_nothing():
    zeros = np.zeros((2, 2, 1), np.float32)
    assert (drawing.overlay(Sample(zeros, GREY), zeros, Style()) == 100).all()


def test_colours_are_summed_and_panels_stand_side_by_side():
    maps = np.float32([[[1, 2, -1]]])
    assert drawing.strengths(Sample(maps, np.zeros((1, 1, 3), np.uint8)), maps, Style(clip=100)).tolist() == [[1]]
    panels = Sample(maps, np.uint8([[[1, 2, 3]]]), panels=True)
    assert drawing.strengths(panels, maps, Style(clip=100)).tolist() == [[0.5, 1, -0.5]]
    assert drawing.strengths(panels, maps[..., :1], Style(clip=100)).tolist() == [[1, 1, 1]]
    assert drawing.picture(panels).tolist() == [[[1, 1, 1], [2, 2, 2], [3, 3, 3]]]


def test_rows_from_below_are_turned():
    sample = Sample(MAP, np.arange(12, dtype=np.uint8).reshape(2, 2, 3), from_below=True)
    assert drawing.picture(sample)[0, 0].tolist() == [6, 7, 8]
    assert drawing.strengths(sample, MAP, Style(clip=100)).tolist() == [[0.5, 0], [1, -1]]


def test_small_pictures_are_enlarged_by_a_whole_factor():
    with Image.open(io.BytesIO(drawing.png(np.zeros((22, 24, 3), np.uint8)))) as picture:
        assert picture.size == (24 * 11, 22 * 11)
    with Image.open(io.BytesIO(drawing.png(np.zeros((224, 300, 3), np.uint8)))) as picture:
        assert picture.size == (300, 224)
