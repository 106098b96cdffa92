"""What conversion kept and left out, and why: metrics/convert.json."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from cinegan.data.cohort import Cohort
from cinegan.data.cycles import LeftOut
from cinegan.data.orientation import Turn
from cinegan.data.splits import SPLITS
from cinegan.errors import CineganError


@dataclass
class Record:
    """Filled in while studies are read.

    Attributes
    ----------
    strict : bool
        Whether the first file or patient that cannot be used ends the conversion.
    unreadable : dict
        Reason by file.
    left_out : dict
        By patient: how many images make no cycle, by series and reason.
    resampled : dict
        By patient and slice: the number of phases that were interpolated.
    patients_left_out : dict
        Reason by patient.
    """

    strict: bool
    unreadable: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, Counter[tuple[str, str]]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    resampled: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    patients_left_out: dict[str, str] = field(default_factory=dict)
    contours_read: int = 0

    def cannot_read(self, what: str, why: str) -> None:
        """Count a file that cannot be used; in strict mode, stop."""
        if self.strict:
            raise CineganError(f"{what}: {why}; remove or mend it, or set data.strict: false")
        self.unreadable[what] = why
        tqdm.write(f"skipped {what}: {why}")

    def cannot_use(self, patient: str, why: str) -> None:
        """Count a patient that makes no cycles; in strict mode, stop."""
        if self.strict:
            raise CineganError(
                f"patient {patient}: {why}; mend the study, add the patient to data.exclude, or "
                "set data.strict: false"
            )
        self.patients_left_out[patient] = why
        tqdm.write(f"skipped patient {patient}: {why}")

    def leave_out(self, patient: str, items: Iterable[LeftOut]) -> None:
        """Count images that make no cycle."""
        for item in items:
            self.left_out[patient][item.what, item.why] += item.images

    def notes(self, patient: str) -> list[str]:
        """What a patient's contact sheet has to say."""
        interpolated = [
            f"slice {number}: interpolated from {phases} phases"
            for number, phases in self.resampled[patient].items()
        ]
        left_out = [
            f"left out: {images} image(s) of {what}: {why}"
            for (what, why), images in self.left_out[patient].items()
        ]
        return interpolated + left_out

    def reasons(self) -> str:
        """The commonest reasons why images were left out, in one line."""
        counts = Counter(self.unreadable.values())
        for own in self.left_out.values():
            for (_, why), images in own.items():
                counts[why] += images
        worst = "; ".join(f"{n} image(s): {why}" for why, n in counts.most_common(3))
        return worst or "there are no images in it"

    def summary(self, converted: Cohort) -> dict[str, Any]:
        """The record as JSON: numbers first, then what they count."""
        index = converted.index
        patients = index.drop_duplicates("patient").set_index("patient")
        turned = patients["turn"][patients["turn"] != str(Turn())]
        per_split = patients["split"].value_counts()
        shapes = {patient: converted.stack(patient).shape for patient in converted.patients}
        placed = sum(len(converted.contours(p)) for p in converted.patients)
        images = index.groupby(["patient", "series"], sort=False)["phases_scanned"]
        kept = [
            {"patient": patient, "what": what, "slices": len(counts), "images": int(counts.sum())}
            for (patient, what), counts in images
        ]
        left_out = [
            {"patient": patient, "what": what, "why": why, "images": count}
            for patient, own in self.left_out.items()
            for (what, why), count in own.items()
        ]
        return {
            "patients": len(patients),
            **{f"patients_{split}": int(per_split.get(split, 0)) for split in SPLITS},
            "slices": len(index),
            "frames": int(sum(shape[0] * shape[-1] for shape in shapes.values())),
            "contours": placed,
            "contours_unplaced": self.contours_read - placed,
            "slices_resampled_in_time": sum(map(len, self.resampled.values())),
            "patients_turned": len(turned),
            "patients_resampled_in_plane": int(patients["resampled_in_plane"].sum()),
            "images_left_out": sum(item["images"] for item in left_out),
            "files_unreadable": len(self.unreadable),
            "clocks": index["clock"].value_counts().sort_index().to_dict(),
            "resampled_in_time": [
                f"{patient}:{number}" for patient, own in self.resampled.items() for number in own
            ],
            "turned": turned.to_dict(),
            "kept": kept,
            "left_out": left_out,
            "unreadable": dict(sorted(self.unreadable.items())),
            "patients_left_out": self.patients_left_out,
        }
