"""What training reads: documents of several sources, mixed and packed into sequences."""
