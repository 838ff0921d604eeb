"""Text as all formats read it: files and folders, compressed or not, cut into pieces of whole lines."""
