"""Readers: convert the user's files, of many kinds and encodings, to documents.

    kinds.py       the table of kinds: suffixes and functions. A new kind is a reader module and its line there
    text.py        plain text and source code; chat_texts.py text files that are chats; subtitles.py .srt and .vtt;
                   html.py; epub.py; docx.py; odt.py; rtf.py; latex.py; notebooks.py; mail.py; mediawiki.py and
                   wiki_markup.py; pdf.py, in a worker process
    chat_exports.py    exports of Telegram and Discord; json_stream.py JSON parsed value by value
    records.py     detection of the text field; json_files.py .jsonl and .json; delimited.py .csv and .tsv; parquet.py;
                   xlsx.py
    archives.py    .zip; tar_files.py .tar; packed.py .gz .bz2 .xz .zst; folder.py the files of a folder or an archive
    unread_kinds.py    kinds of files that can't be read, and what to convert them to
    read.py        files of any kind as documents; inspect.py a preview of them
    items.py       one file, on disk or inside an archive; errors.py errors for files that can't be read
    context.py     state shared by the readers of one source; options.py the user's options
    encodings.py   detection of text encodings; charsets.py encodings other than Unicode
    worker_process.py  a process for libraries that may hang

Everything is streamed, so memory stays bounded whatever the size of a file. Files are unpacked into temporary files
only, which are deleted automatically.
"""
