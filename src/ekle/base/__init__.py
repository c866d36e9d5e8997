"""The base stage: the model that is to learn Turkish, as a folder."""
