"""`python -m tagger` is `fmtag`."""

from tagger.cli.main import main

main()
