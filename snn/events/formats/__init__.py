"""Files of events: read whole, in windows or for a summary; written; converted.

One module a format. A reader is chosen by the ending of the file's name and checked against its
first bytes. Files come from strangers: every size is checked before memory is taken, nothing is
unpickled, and whatever is wrong is said in one ``EventFormatError`` that names the file.

>>> read_recording("faces_easy_0001.bin").sensor_size
(151, 173)
"""

from snn.events.formats.reading import (
    FORMATS,
    MAX_EVENTS,
    READERS,
    RecordingInfo,
    describe,
    find_format,
    read_recording,
    read_windows,
)
from snn.events.formats.tables import TableLayout
from snn.events.formats.writing import WRITERS, convert, write_recording, write_stream

__all__ = [
    "FORMATS",
    "MAX_EVENTS",
    "READERS",
    "WRITERS",
    "RecordingInfo",
    "TableLayout",
    "convert",
    "describe",
    "find_format",
    "read_recording",
    "read_windows",
    "write_recording",
    "write_stream",
]
