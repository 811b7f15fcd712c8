"""Episodes, their figures, the audit of distances, pictures and the report."""
