//! Groups G and H: the matrix of message parameters, on the server and on the client.
