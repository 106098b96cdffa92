"""Segmentations: frames that differ in time only, each referring to its image."""

import io
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from cinegan.data.dicom_segmentation import MaskOf, Segment, encode_segmentation
from cinegan.data.dicom_writer import SyntheticHeader, encode_synthetic_image, uid_from
from cinegan.errors import CineganError

HEADER = SyntheticHeader(
    patient_id="SYNTHETIC-00000001",
    study_uid=uid_from("study"),
    series_uid=uid_from("series"),
    frame_of_reference_uid=uid_from("frame"),
    series_description="synthetic cine",
    derivation="Synthetic",
    comment="Synthetic",
    model="model",
    software="cinegan 1",
    position_mm=(1.0, 2.0, 3.0),
    orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    spacing_mm=2.0,
    thickness_mm=8.0,
    phases=4,
    interval_ms=800.0,
)
SEGMENTS = (Segment("one", ("SCT", "1", "One")), Segment("two", ("SCT", "2", "Two")))
MASKS = [
    MaskOf(1, 2, np.eye(5, 7, dtype=bool)),
    MaskOf(0, 3, np.zeros((5, 7), bool)),
    MaskOf(0, 2, np.ones((5, 7), bool)),
]

GEOMETRY = {
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PlanePositionSequence": ("ImagePositionPatient",),
}


def read(content):
    return pydicom.dcmread(io.BytesIO(content))


def test_masks_come_back_in_order_with_their_segments_and_phases():
    ds = read(encode_segmentation(MASKS, SEGMENTS, HEADER))
    np.testing.assert_array_equal(ds.pixel_array, [m.mask for m in (MASKS[2], MASKS[1], MASKS[0])])
    frames = ds.PerFrameFunctionalGroupsSequence
    places = [list(f.FrameContentSequence[0].DimensionIndexValues) for f in frames]
    assert places == [[1, 3], [1, 4], [2, 3]]
    assert [segment.SegmentLabel for segment in ds.SegmentSequence] == ["one", "two"]


def test_each_frame_refers_to_its_image_and_the_whole_to_their_series():
    ds = read(encode_segmentation(MASKS, SEGMENTS, HEADER))
    images = [read(encode_synthetic_image(np.eye(5, dtype=np.uint8), HEADER, t)) for t in range(4)]
    (series,) = ds.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == images[0].SeriesInstanceUID
    listed = [item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence]
    assert listed == [images[2].SOPInstanceUID, images[3].SOPInstanceUID]
    for frame in ds.PerFrameFunctionalGroupsSequence:
        phase = frame.FrameContentSequence[0].TemporalPositionIndex - 1
        (source,) = frame.DerivationImageSequence[0].SourceImageSequence
        assert source.ReferencedSOPInstanceUID == images[phase].SOPInstanceUID


def test_each_frame_lies_where_its_image_does():
    oblique = replace(
        HEADER,
        position_mm=(-41.5, 20.25, 3.125),
        orientation=(0.6, -0.8, 0.0, 0.48, 0.36, -0.8),
        spacing_mm=1.367188,
    )
    ds = read(encode_segmentation(MASKS, SEGMENTS, oblique))
    (shared,) = ds.SharedFunctionalGroupsSequence
    for frame in ds.PerFrameFunctionalGroupsSequence:
        phase = frame.FrameContentSequence[0].TemporalPositionIndex - 1
        image = read(encode_synthetic_image(np.eye(5, dtype=np.uint8), oblique, phase))
        for group, keywords in GEOMETRY.items():
            # Shared or of the frame, never both: which of the two would count?
            (told,) = (*shared.get(group, ()), *frame.get(group, ()))
            assert {each: told[each].value for each in keywords} == {
                each: image[each].value for each in keywords
            }


def test_the_same_masks_give_the_same_bytes_and_others_another_object():
    content = encode_segmentation(MASKS, SEGMENTS, HEADER)
    assert encode_segmentation(MASKS[::-1], SEGMENTS, HEADER) == content
    others = read(encode_segmentation(MASKS[1:], SEGMENTS, HEADER))
    assert others.SOPInstanceUID != read(content).SOPInstanceUID


@pytest.mark.parametrize("pixels", [np.zeros((4, 4), np.int16), np.zeros((1, 4, 4), np.uint8)])
def test_images_of_another_kind_are_refused(pixels):
    with pytest.raises(CineganError, match="two axes of uint8"):
        encode_synthetic_image(pixels, HEADER, 0)
