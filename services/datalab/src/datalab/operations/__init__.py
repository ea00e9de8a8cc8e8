"""The operations that users choose from: one small file each."""
