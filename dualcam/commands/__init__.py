"""The `dualcam` command's subcommands, one a file; `add` declares the options."""
