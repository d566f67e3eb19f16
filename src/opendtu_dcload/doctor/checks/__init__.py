"""What `check` looks at, one file each."""
