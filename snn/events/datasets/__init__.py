"""Labelled event recordings: sets of others, folders, rendered faces, and a store of frames."""

from snn.events.datasets.base import EventDataset, Sample
from snn.events.datasets.clips import ClipTable, EventSet, file_digest, load_event_set
from snn.events.datasets.eckplus import ECKPlus
from snn.events.datasets.face_sets import n_clips, write_face_set
from snn.events.datasets.folders import FolderSet
from snn.events.datasets.nefer import NEFER
from snn.events.datasets.protocols import Splits
from snn.events.datasets.rendered import RenderedFaces
from snn.events.datasets.spiking_fer import ADFESDVS, CASIADVS, MMIDVS, CKPlusDVS
from snn.events.datasets.store import FrameStore, StorePlan, plan_store
from snn.events.datasets.verify import DATASETS, Report, open_dataset, verify

__all__ = [
    "ADFESDVS",
    "CASIADVS",
    "DATASETS",
    "MMIDVS",
    "NEFER",
    "CKPlusDVS",
    "ClipTable",
    "ECKPlus",
    "EventDataset",
    "EventSet",
    "FolderSet",
    "FrameStore",
    "RenderedFaces",
    "Report",
    "Sample",
    "Splits",
    "StorePlan",
    "file_digest",
    "load_event_set",
    "n_clips",
    "open_dataset",
    "plan_store",
    "verify",
    "write_face_set",
]
