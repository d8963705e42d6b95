"""Every error that a user can meet; each message names the thing, what is allowed and what to do next."""


class UnfreezeError(Exception):
    """Base of all errors whose message is meant for the user: shown without a traceback."""


class RecipeError(UnfreezeError):
    """A recipe or a setting is wrong. The message lists every mistake found, one a line."""


class DataError(UnfreezeError):
    """The photos can't be used as they are: none found, a class too small, too many bad files."""


class PhotoError(UnfreezeError):
    """One file isn't a usable photo. The message is the reason alone; callers add the file's path."""


class BackboneError(UnfreezeError):
    """A backbone's name is unknown, or its pretrained weights are not at hand or not what they should be."""


class LayerError(UnfreezeError):
    """`unfreeze` names a layer, block or number that the backbone does not have."""


class RunError(UnfreezeError):
    """A run folder isn't there, isn't finished, or holds something other than what was asked for."""


class BackendError(UnfreezeError):
    """No Keras backend is installed, or the chosen one can't be imported."""
