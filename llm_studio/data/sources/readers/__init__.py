"""Readers: the user's files become documents, whatever their kind and their encoding.

    kinds.py       the table of kinds: suffixes and functions. A new kind is a reader module and its line there
    text.py        plain text and source code; chat_texts.py those that are chats; subtitles.py .srt and .vtt; html.py;
                   epub.py; docx.py; odt.py; rtf.py; latex.py; notebooks.py; mail.py; mediawiki.py and wiki_markup.py;
                   pdf.py, in a worker process
    chat_exports.py    exports of Telegram and Discord; json_stream.py JSON value by value
    records.py     detection of the text field; json_files.py .jsonl and .json; delimited.py .csv and .tsv; parquet.py;
                   xlsx.py
    archives.py    .zip; tar_files.py .tar; packed.py .gz .bz2 .xz .zst; folder.py many files of a folder or an archive
    unread_kinds.py    kinds that aren't read, and what to save them as
    read.py        all kinds of files as documents; inspect.py a preview of them
    items.py       one file, on the disk or inside an archive; errors.py the problems it can have
    context.py     what the readers of one source share; options.py options of the user
    encodings.py   detection of text encodings; charsets.py those that aren't Unicode
    worker_process.py  a process for libraries that may hang

Everything is streamed: a file of any size is read in bounded memory. Files are only ever unpacked into a temporary file
without a name.
"""
