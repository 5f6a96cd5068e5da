"""Readers: the user's files become documents, whatever their kind and their encoding.

    kinds.py       the table of kinds: suffixes and functions. A new kind is a reader module and its line there
    text.py        .txt and .md; subtitles.py .srt; html.py; epub.py; docx.py; pdf.py, in a worker process
    records.py     detection of the text field; json_files.py .jsonl and .json; delimited.py .csv and .tsv; parquet.py
    archives.py    .zip and .gz; folder.py many files of a folder or an archive
    read.py        all kinds of files as documents; inspect.py a preview of them
    items.py       one file, on the disk or inside an archive; errors.py the problems it can have
    context.py     what the readers of one source share; options.py options of the user
    encodings.py   detection of text encodings; worker_process.py a process for libraries that may hang

Everything is streamed: a file of any size is read in bounded memory. Files are only ever unpacked into a temporary file
without a name.
"""
