"""What ekle knows about the Turkish language."""
