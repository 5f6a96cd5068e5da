"""The command line: commands that call the workflows, show their progress and return exit codes.

0 success, or the reader of the output has closed it (a training run is then saved); 1 an explained problem; 2 wrong
usage; 130 interrupted.
"""
