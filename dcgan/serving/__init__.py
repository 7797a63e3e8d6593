"""HTTP over an exported model: no Keras and no training code, in this process or on its path."""
