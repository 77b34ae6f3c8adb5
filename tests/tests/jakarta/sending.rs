//! Groups D and E: every way to send, from the server and from the client.
