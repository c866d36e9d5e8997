"""The base stage (3): the model that is to learn Turkish, as a folder."""
