"""The user's files: what is in them becomes documents, whatever their kind and their encoding.

    options.py     how files are to be read, which kinds there are
    items.py       one file, on the disk or inside an archive, and what can be wrong with it
    encodings.py   from bytes to characters
    plain.py       .txt and .md; subtitles.py .srt
    records.py     which field of many records is the text; json_files.py .jsonl and .json; tables.py .csv and .tsv;
                   columns.py .parquet
    markup.py      .html; books.py .epub; office.py .docx; pages.py .pdf, in a process of its own (apart.py)
    archives.py    .zip and .gz; folder.py many files at once
    reading.py     all of them behind one door; looking.py a first look

Everything streams: a file of any size passes in bounded memory. Nothing is ever unpacked but into a temporary file
without a name.
"""
