//! Groups F, J and K: coders of one's own, their lives, and what becomes of those that throw.
