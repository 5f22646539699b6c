"""What several suites stand on: random cells, a second meaning of the language in numpy, problems, differences."""
