"""Everything that ekle raises on purpose.

EkleError                    a mistake that the user can cure: one line, exit code 2
├── InputError               something given is missing, unreadable or empty
│   ├── TextError            a text file: not there, not UTF-8, nothing in it
│   ├── TokenizerError       a base tokenizer that is absent or not byte-level BPE
│   └── CheckpointError      a model folder: shards missing, truncated, not safetensors
│       └── DeviceMemoryError  a model, or one piece of work for it, that the device has no memory for
├── RecipeError              unknown, missing or mistyped keys; every one of them is named
├── VocabularyError          the corpus cannot give what was asked of it
├── RunFolderError           a run folder holds another run, or something that is no run
├── SpaceError               the disk cannot take what is about to be written
├── PreservationError        something that must stay byte-equal has changed
├── TrainingError            training cannot start or cannot go on (memory, NaN, nothing to train on)
└── NotAvailableError        a planned command that this version does not have

RenamedWarning               a key, option or argument of an older ekle was read under its new name

The message says what is wrong and what to do about it. Anything that is not an EkleError is a
defect in ekle and keeps its traceback.
"""


class EkleError(Exception):
    """Base of the family; the command line prints it as one line and exits with code 2."""


class InputError(EkleError):
    """Something the user handed over is missing, unreadable or empty."""


class TextError(InputError):
    """A text source that is absent, not UTF-8, or holds no text."""


class TokenizerError(InputError):
    """A base tokenizer that is absent, or that is not byte-level BPE."""


class CheckpointError(InputError):
    """A model folder whose weights are missing, damaged, quantised or not safetensors."""


class DeviceMemoryError(CheckpointError):
    """A model, or the smallest piece of work for it, does not fit the device's memory."""


class RecipeError(EkleError):
    """A recipe with unknown, missing or mistyped keys; the message names all of them."""


class VocabularyError(EkleError):
    """The corpus cannot support the vocabulary that was asked for."""


class RunFolderError(EkleError):
    """An output folder that belongs to something else, or a run whose settings changed."""


class SpaceError(EkleError):
    """There is not enough room on the disk for what would be written next."""


class PreservationError(EkleError):
    """A tensor, row or id that must not change did change."""


class TrainingError(EkleError):
    """Training cannot start, or had to stop; the last checkpoint is kept."""


class NotAvailableError(EkleError):
    """A planned command that this version does not have."""


class RenamedWarning(FutureWarning):
    """Something has a new name; the old one works in this version still."""
