"""Proof that a restructuring changes no behaviour: `python -m tests.same` prints a hash of all that the program makes.

It only runs the command line, in subprocesses, and imports nothing of the program. So the same version of it compares
any two commits, on one machine:

    python -m tests.same --program ../older --keep /tmp/older > older.txt    # a checkout of the earlier commit
    python -m tests.same --against older.txt                                 # lists differences; exit code 1 if any
    python -m tests.same --program ../older --open /tmp/older > opened.txt   # the projects that the earlier one made
    python -m tests.same --open /tmp/older --against opened.txt              # ... open, resume and generate here

A line is `NAME HASH`: of files, of the figures that `--json` prints, of generated texts. The same file in all
checkpoints of a run makes one line, with `*` for their folders. The last line is the hash of all lines.

Left out or normalised, because it varies between two runs of one commit, or because its wording may change:
- times (`created`, `seconds`, tokens per second, time left), the machine, energy, versions; the sizes and the SHA-256
  sums of files that hold such values (`files` in checkpoint.json is reduced to names);
- the position of "checkpoint" events in a log, which are written by another thread: they are moved to the end. Of an
  interrupted run only weights, losses and samples are hashed: the step at which it resumes depends on timing;
- what the clock decides: decisions.jsonl, and at which moments of a run there are texts, of which length;
- prose: help texts, notices, notes, reasons, README.txt in an archive, comments in config.yaml. Generated text is
  hashed, and so are exit codes and the names of errors;
- the temporary folder, written as ROOT;
- commands that measure this machine or need the network: forecast, doctor, gpu, search, `train --fit`, quickstart.

The archive has no command: `EXPORT` in `models.py` calls the workflow, wherever the commit has it.
`training.cuda_graphs` is set explicitly, since its default may change with no effect on a processor.
"""
