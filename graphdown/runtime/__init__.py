"""What a process needs of the machine: files, locks, signals, threads, progress."""
