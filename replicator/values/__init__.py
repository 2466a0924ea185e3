"""Values on their way: conversions, texts, numbers, moments, documents, sizes."""
