"""The command line: one table, command → function."""
