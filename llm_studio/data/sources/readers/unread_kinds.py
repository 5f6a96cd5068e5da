"""Common kinds of files that can't be read: what each is, and what to convert it to."""

from collections.abc import Mapping

from llm_studio.data.sources.account import KIND
from llm_studio.data.sources.readers.items import suffix_of
from llm_studio.errors import SourceError
from llm_studio.i18n import N_, _

_AS_DOCX = N_("Open it with the program it was made with, save it as .docx or .txt, and add that.")
_AS_CSV = N_("Save each of its sheets as .csv, and add those.")
_UNPACK = N_("Unpack it yourself, and add the folder.")
_KINDS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (N_("an old Word document"), _AS_DOCX, (".doc", ".dot")),
    (N_("a document of a word processor"), _AS_DOCX, (".pages", ".wpd", ".wps", ".sxw", ".docm", ".abw", ".fodt")),
    (N_("a spreadsheet"), _AS_CSV, (".xls", ".xlsb", ".ods", ".numbers")),
    (N_("a presentation"), N_("Export it as a PDF document, and add that."), (".ppt", ".pptx", ".odp", ".key")),
    (N_("an e-book of another kind"), N_("Convert it to .epub, with Calibre for instance, and add that."),
     (".mobi", ".azw", ".azw3", ".kfx", ".lit", ".fb2", ".prc")),
    (N_("a scanned document"), N_("Convert it to text with an OCR program first."), (".djvu", ".djv", ".xps", ".ps")),
    (N_("a 7z archive"), _UNPACK, (".7z",)),
    (N_("a RAR archive"), _UNPACK, (".rar",)),
    (N_("an archive of another kind"), _UNPACK,
     (".cab", ".arj", ".lzh", ".ace", ".iso", ".dmg", ".z", ".lzma", ".lz4", ".br", ".warc")),
    (N_("a picture"), N_("If it shows a text, convert it to text with an OCR program first."),
     (".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff", ".bmp", ".svg", ".heic", ".ico", ".psd", ".avif")),
    (N_("a sound recording or a film"), N_("If there are subtitles of it (.srt, .vtt), add those."),
     (".mp3", ".wav", ".ogg", ".flac", ".m4a", ".aac", ".opus", ".wma", ".mp4", ".mkv", ".avi", ".mov", ".webm",
      ".mpg", ".mpeg", ".wmv", ".flv")),
    (N_("a file of subtitles of another kind"), N_("Convert it to .srt, and add that."),
     (".ass", ".ssa", ".sub", ".sbv", ".ttml", ".lrc")),
    (N_("e-mail"), N_("Save the messages as text, and add those."), (".msg", ".pst")),
    (N_("a database"), N_("Export its tables as .csv, and add those."),
     (".db", ".sqlite", ".sqlite3", ".mdb", ".accdb")),
    (N_("an XML file"), N_("Convert it to text (.txt) or a web page (.html), and add that."),
     (".tei", ".opml")),
    (N_("data of a program"), N_("Export its texts as .jsonl, .csv or .parquet, and add those."),
     (".pkl", ".pickle", ".npy", ".npz", ".pt", ".arrow", ".feather", ".h5", ".hdf5", ".safetensors")),
    (N_("a program"), N_("There is no text in it."), (".exe", ".dll", ".so", ".pyc", ".class", ".jar", ".apk", ".msi")),
    (N_("a shortcut"), N_("Add the file that it leads to."), (".lnk", ".url", ".webloc", ".desktop")),
    (N_("a download that isn’t complete"), N_("Finish the download first."), (".part", ".crdownload", ".download")),
)  # fmt: skip
_BY_SUFFIX: Mapping[str, tuple[str, str]] = {
    suffix: (kind, to_do) for kind, to_do, suffixes in _KINDS for suffix in suffixes
}


def detail(name: str, reason: str) -> str:
    """What a file is that was left out because of its kind, and what to do about it; "" if that is unknown."""
    known = _BY_SUFFIX.get(suffix_of(name)) if reason == KIND else None
    return _("{kind}. {to_do}").format(kind=_(known[0]), to_do=_(known[1])) if known else ""


class UnreadKindError(SourceError):
    """A file is of a kind that can't be read. `detail`: what it is and what to do, without its name."""

    def __init__(self, what: str, to_do: str, detail: str) -> None:
        super().__init__(what, to_do)
        self.detail = detail


def refusal(name: str, suffix: str) -> UnreadKindError | None:
    """The error for a file of one of these kinds; None for others."""
    known = _BY_SUFFIX.get(suffix)
    if known is None:
        return None
    return UnreadKindError(_("{path} is {kind}, which can't be read.").format(path=name, kind=_(known[0])),
                           _(known[1]), detail(f"a{suffix}", KIND))  # fmt: skip
