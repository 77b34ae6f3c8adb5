//! Group I: the matrix of return values, on the server and on the client.
