//! What the modules share: both ends of a connection, and what they tell.
