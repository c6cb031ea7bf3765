"""Query and answers: terms, index, gallery, classification."""
