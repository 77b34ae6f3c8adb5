//! Contexts without an exporter.
