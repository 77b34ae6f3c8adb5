//! The points that the specification leaves open or contradicts itself on (A1 to A15), as they are decided here.
