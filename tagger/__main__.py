"""`python -m tagger` is `fmtag`."""

from tagger.cli import main

main()
