"""A stand-in for SGLang's server, for tests of what starts it: no GPU, no model, no SGLang."""
