//! Groups B, C, S and the rest of R: sessions, their message handlers, clients and containers.
