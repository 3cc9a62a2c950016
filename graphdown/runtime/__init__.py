"""Services of machine and operating system: files, locks, signals, threads, progress."""
