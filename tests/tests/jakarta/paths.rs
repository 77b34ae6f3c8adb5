//! Group L and the URI matching of group R: path parameters.
