//! What the kit leaves untested: threads, order, error routing, use after close, limits, timeouts.
