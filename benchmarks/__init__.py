"""Speed of this project and of its peers, measured side by side in one run (`python -m benchmarks`)."""
