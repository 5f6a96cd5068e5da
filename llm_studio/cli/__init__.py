"""The command line: sub-commands that call the workflows, show their progress and give exit codes.

0 done, or ended because the reader of the output has gone (a training run is saved then), 1 a problem explained,
2 wrong usage, 130 interrupted.
"""
