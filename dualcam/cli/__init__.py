"""The `dualcam` command and its subcommands, one per file; each file's `add` declares options."""
