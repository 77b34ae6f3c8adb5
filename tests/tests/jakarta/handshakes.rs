//! Groups M and N: the handshake, and configurators.
