"""The report: HTML pages with the outputs of every chapter, and the stage that made each of them."""
