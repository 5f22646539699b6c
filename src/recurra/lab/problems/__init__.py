"""Problems with a known answer: pure functions of a generator of random numbers, each with its baseline."""
