//! Groups A, O, P, Q and T: configurations, selection, and what cannot be deployed.
