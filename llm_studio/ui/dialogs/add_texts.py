"""The dialog before files become a source: their content, the column that holds the text, what can't be read."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from llm_studio.i18n import _, ngettext, number, size
from llm_studio.ui.theme import GAP, set_role
from llm_studio.ui.widgets.basics import as_plain_text, button, label, row
from llm_studio.ui.widgets.table import Cell, Table
from llm_studio.workflows.data import accounts
from llm_studio.workflows.data.sources import FileChoice

if TYPE_CHECKING:
    from llm_studio.workflows.data.sources import Inspection

_LINKS_SHOWN = 20
_BETWEEN = "\n\n———\n\n"


class AddTextsDialog(QDialog):
    """Files on the left, a preview of the selected one on the right. `ui/tabs/data/own_files.py` inspects and adds."""

    look_requested = Signal(object, object)
    """A path, and the FileChoice for it."""
    add_requested = Signal(object)
    """The choices for those paths that have any: dict[Path, FileChoice]."""

    def __init__(self, paths: Sequence[Path], parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(_("Add texts"))
        self.resize(820, 560)
        self._paths = list(paths)
        self._looks: dict[Path, Inspection] = {}
        self._problems: dict[Path, str] = {}
        self._details: dict[Path, str] = {}
        self._chosen: dict[Path, FileChoice] = {}
        self._encodings: dict[Path, tuple[tuple[str, str], ...]] = {}
        self._links: dict[Path, tuple[str, ...]] = {}
        self.files = Table(self, _("Files to add"), (_("File"), _("Kind")))
        self.files.setVisible(len(paths) > 1)
        self.files.setMinimumWidth(260)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(20, 16, 20, 16)
        inside.setSpacing(10)
        both = QHBoxLayout()
        both.setSpacing(GAP)
        both.addWidget(self.files, 2)
        both.addLayout(self._make_look(), 3)
        inside.addLayout(both, 1)
        self.add = button(_("Add"), self, self._on_add, "primary")
        inside.addLayout(row(None, button(_("Cancel"), self, self.reject), self.add))
        self.files.rows.show_rows([(Cell(path.name, tip=str(path)), "") for path in self._paths])
        self.files.selectionModel().currentRowChanged.connect(self._show)
        self.files.selectRow(0)
        self._show()

    def _make_look(self) -> QVBoxLayout:
        self.name = label("", self, "heading", wrap=True)
        self.facts = label("", self, "muted", wrap=True)
        self.field = QComboBox(self)
        self.field.setAccessibleName(_("Text in"))
        self.field.activated.connect(self._on_field)
        self._form = QFormLayout()
        self._form.addRow(_("Text in"), self.field)
        self.encoding = QComboBox(self)
        self.encoding.setAccessibleName(_("Encoding"))
        self.encoding.setToolTip(_("If letters look wrong in the preview, choose another one"))
        self.encoding.activated.connect(self._on_encoding)
        self._form.addRow(_("Encoding"), self.encoding)
        self.reading = QComboBox(self)
        self.reading.setAccessibleName(_("Read as"))
        self.reading.addItem(_("conversations: roles replace the names"), "conversations")
        self.reading.addItem(_("text, as it stands"), "text")
        self.reading.activated.connect(self._on_reading)
        self._form.addRow(_("Read as"), self.reading)
        self.follow_links = QCheckBox(self)
        self.follow_links.clicked.connect(self._on_follow_links)
        self.heading = label(_("First documents"), self, "heading")
        self.preview = QPlainTextEdit(self)
        self.preview.setReadOnly(True)
        self.preview.setTabChangesFocus(True)
        self.preview.setAccessibleName(_("First documents"))
        set_role(self.preview, "sunken")
        self.problem = label("", self, "warn", wrap=True, selectable=True)
        made = QVBoxLayout()
        made.setSpacing(8)
        for part in (self.name, self.facts):
            made.addWidget(part)
        made.addLayout(self._form)
        made.addWidget(self.follow_links)
        made.addWidget(self.heading)
        made.addWidget(self.preview, 1)
        made.addWidget(self.problem)
        return made

    def _path(self) -> Path:
        return self._paths[max(0, self.files.chosen())]

    def show_look(self, path: Path, seen: "Inspection") -> None:
        """Show the inspection of the file, archive or folder at `path`."""
        self._looks[path] = seen
        if not self._choice(path).follow_links:
            self._links[path] = seen.links
        if not self._choice(path).encoding:
            self._encodings[path] = seen.encoding_choices
        self._problems.pop(path, None)
        self._fill_rows()

    def show_problem(self, path: Path, text: str, detail: str = "") -> None:
        """Show that nothing can be read at `path`; the technical `detail` is shown on hover."""
        self._problems[path] = _with_short_name(text, str(path))
        self._details[path] = detail
        self._fill_rows()

    def _fill_rows(self) -> None:
        rows: list[tuple[Cell, Cell]] = []
        for path in self._paths:
            seen = self._looks.get(path)
            kind = Cell(_("unreadable"), "warn", self._problems[path]) if path in self._problems else Cell(
                _kind(seen) if seen else "…")  # fmt: skip
            rows.append((Cell(path.name, tip=str(path)), kind))
        self.files.show_rows(rows)
        self._show()

    @Slot()
    def _show(self) -> None:
        path = self._path()
        seen = self._looks.get(path)
        self.name.setText(path.name)
        self.facts.setText(_facts(seen) if seen else "")
        columns = seen.columns if seen and not seen.conversations else ()
        self._form.setRowVisible(self.field, bool(columns))
        if seen is not None and columns:
            self.field.clear()
            self.field.addItems([column.name for column in columns])
            field = self._choice(path).text_field or seen.text_field or ""
            self.field.setCurrentText(field)
            if not field:
                self.field.setCurrentIndex(-1)
        self._show_encodings(path)
        self._form.setRowVisible(self.reading, seen is not None and seen.chat)
        if seen is not None:
            self.reading.setCurrentIndex(0 if seen.conversations else 1)
        self._show_links(self._links.get(path, ()), self._choice(path).follow_links)
        problem = self._problems.get(path) or (_what_fails(seen) if seen else "")
        self.problem.setText(problem)
        self.problem.setToolTip(as_plain_text("\n".join(seen.details) if seen else self._details.get(path, "")))
        self.problem.setVisible(bool(problem))
        waiting = "" if path in self._problems else _("Reading…")
        self.preview.setPlainText(_BETWEEN.join(_documents(seen)) if seen else waiting)
        known = len(self._looks) + len(self._problems)
        self.add.setEnabled(known >= len(self._paths) and any(_usable(look) for look in self._looks.values()))

    def _show_encodings(self, path: Path) -> None:
        """Offer other encodings if the one of the texts was guessed."""
        choices = self._encodings.get(path, ())
        self._form.setRowVisible(self.encoding, bool(choices))
        self.encoding.clear()
        for codec, name in choices:
            self.encoding.addItem(name, codec)
        self.encoding.setCurrentIndex(max(0, self.encoding.findData(self._choice(path).encoding)))

    def _show_links(self, links: Sequence[str], followed: bool) -> None:
        """Ask about links that lead out of a folder, if there are any."""
        text = ngettext("Also read the {n} link that leads out of this folder",
                        "Also read the {n} links that lead out of this folder", len(links))  # fmt: skip
        self.follow_links.setVisible(bool(links))
        self.follow_links.setText(text.format(n=number(len(links))))
        self.follow_links.setToolTip(as_plain_text("\n".join(links[:_LINKS_SHOWN])))
        self.follow_links.setChecked(followed)

    def _choice(self, path: Path) -> FileChoice:
        return self._chosen.get(path, FileChoice())

    @Slot()
    def _on_field(self) -> None:
        self._choose(replace(self._choice(self._path()), text_field=self.field.currentText()))

    @Slot()
    def _on_encoding(self) -> None:
        self._choose(replace(self._choice(self._path()), encoding=str(self.encoding.currentData())))

    @Slot()
    def _on_reading(self) -> None:
        self._choose(replace(self._choice(self._path()), reading=str(self.reading.currentData())))

    @Slot(bool)
    def _on_follow_links(self, checked: bool) -> None:
        self._choose(replace(self._choice(self._path()), follow_links=checked))

    def _choose(self, choice: FileChoice) -> None:
        """Inspect the file again with the user's choice."""
        path = self._path()
        self._chosen[path] = choice
        self.preview.setPlainText(_("Reading…"))
        self.look_requested.emit(path, choice)

    @Slot()
    def _on_add(self) -> None:
        self.add_requested.emit(dict(self._chosen))
        self.accept()

    def done(self, result: int) -> None:
        """Delete the dialog when it is closed."""
        super().done(result)
        self.deleteLater()


def _usable(seen: "Inspection") -> bool:
    return bool(seen.documents)


def _kind(seen: "Inspection") -> str:
    return _("folder") if seen.kind == "folder" else f".{seen.kind}"


def _facts(seen: "Inspection") -> str:
    """The kind, the number of files or the encoding of the only one, and the size, in one line."""
    if seen.files > 1 or seen.kind in ("folder", "zip", "tar"):
        files = ngettext("{n} readable file", "{n} readable files", seen.files)
        no_suffix = _("without an ending")
        kinds = ", ".join(f"{number(count)} {suffix or no_suffix}" for suffix, count in seen.counts)
        what = " · ".join(filter(None, [files.format(n=number(seen.files)), kinds, _encodings(seen)]))
    else:
        what = _("{text} (guessed)").format(text=seen.encoding) if seen.encoding_guessed else seen.encoding
    facts = [_kind(seen), what, size(seen.bytes) if seen.bytes else ""]
    facts += [_("conversations")] if seen.conversations else []
    return " · ".join(filter(None, facts))


def _encodings(seen: "Inspection") -> str:
    """The encodings of the inspected files, the most frequent first."""
    if len(seen.encodings) < 2:  # the encoding of some files may not be that of others
        alike = seen.encoding if sum(count for _name, count in seen.encodings) == seen.files else ""
        return _("{text} (guessed)").format(text=alike) if alike and seen.encoding_guessed else alike
    return ", ".join(f"{name} ({number(count)})" for name, count in seen.encodings)


def _documents(seen: "Inspection") -> list[str]:
    """The first documents, each below the name of its file if there are several."""
    texts = [text.strip("\n") for text in seen.documents]
    if seen.files < 2:
        return texts
    return [f"{name}\n\n{text}" for name, text in zip(seen.origins, texts, strict=True)]


def _what_fails(seen: "Inspection") -> str:
    """The problem, or some of the files that can't be read."""
    lines = [seen.problem] if seen.problem else []
    lines += [_with_short_name(reason, name) for name, reason in seen.refused[:3]]
    if len(seen.refused) > 3:
        lines.append(_("… and {n} more").format(n=number(len(seen.refused) - 3)))
    lines += accounts.expected(seen.account)
    return "\n".join(lines)


def _with_short_name(reason: str, path: str) -> str:
    """The reason why the file at `path` can't be read, with the file's name once and without its folder."""
    name = PurePath(path).name
    return reason.replace(path, name) if name in reason else _("{name}: {value}").format(name=name, value=reason)
