"""The `dualcam` command and its subcommands, one per file; `add` declares the options."""
