"""`python -m tagger` is `fmtag`."""

from tagger.cli.main import main

if __name__ == "__main__":  # a process that is started for a part of the work imports this module under another name
    main()
