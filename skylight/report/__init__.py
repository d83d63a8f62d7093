"""The report: pages that show the outputs of every chapter, and which stage made each of them."""
